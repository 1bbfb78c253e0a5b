"""Spark jobs on EMR Serverless, followed through dagster-aws Pipes.

Context and messages lie under the bundle's prefix in S3 while a job runs. The request itself is made in `emr_request`.
"""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import dagster as dg
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from dagster_aws.pipes import PipesEMRServerlessClient, PipesS3ContextInjector, PipesS3MessageReader

from resources.emr_request import BundlePlace, client_token, start_job_run
from resources.settings import EmrSettings, Settings, SettingsError
from resources.spark_jobs import JobOutcome, SparkJobError, SparkJobs

POLL_SECONDS = 10
PATIENTLY = Config(retries={"mode": "standard", "max_attempts": 8})
"""A lost answer is asked for again for about a minute: giving up on a job costs more."""
UNDER_WAY = frozenset({"SUBMITTED", "PENDING", "SCHEDULED", "QUEUED", "RUNNING", "CANCELLING"})

HOURS = {"vCPUHour": "vcpu_hours", "memoryGBHour": "memory_gb_hours", "storageGBHour": "storage_gb_hours"}
NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9 /_.:=+@-]")
MOST_CHARACTERS_OF_A_TAG = 256


class EmrServerless(SparkJobs):
    """An application of EMR Serverless.

    Attributes:
        application_id: The application.
        role_arn: The role of the jobs.
        bundle: `s3://bucket/prefix` under which the bundles, the messages and the logs are.
        spark_parameters: More parameters of `spark-submit`.
        poll_seconds: Between two looks at a job.
    """

    application_id: str
    role_arn: str
    bundle: str
    spark_parameters: str = ""
    poll_seconds: float = POLL_SECONDS

    @classmethod
    def of(cls, emr: EmrSettings, groups: list[str], settings: Settings) -> "EmrServerless":
        """What the settings describe.

        Args:
            emr: The application.
            groups: Those whose engine is Spark.
            settings: The places that jobs read and write.

        Raises:
            SettingsError: No group is computed on Spark, or one needs an MLflow server that jobs can reach.
        """
        if not groups:
            raise SettingsError(
                "RECSYS_EMR_APPLICATION_ID is set and no group is computed on Spark; say `engine: spark` in "
                "recsys.yaml or RECSYS_ENGINE=spark, or unset the variables RECSYS_EMR_*"
            )
        if {"models", "recommendations"} & set(groups) and not emr.tracking_uri.startswith(("http://", "https://")):
            raise SettingsError(
                "jobs of EMR Serverless that train or rank need an MLflow server: set MLFLOW_TRACKING_URI to its https "
                "address, or leave `models` and `recommendations` to Polars under `engine` in recsys.yaml"
            )
        environment = {
            "RECSYS_LAKE": settings.lake,
            "RECSYS_LANDING": settings.landing,
            "RECSYS_ENGINE": settings.engine,
            "MLFLOW_TRACKING_URI": emr.tracking_uri,
        }
        return cls(
            groups=groups,
            environment={name: value for name, value in environment.items() if value},
            application_id=emr.application_id,
            role_arn=emr.role_arn,
            bundle=emr.bundle,
            spark_parameters=emr.spark_parameters,
        )

    def run(self, context: dg.AssetExecutionContext, title: str, extras: Mapping[str, Any]) -> JobOutcome:
        """See `SparkJobs.run`."""
        emr, s3 = self.client("emr-serverless"), self.client("s3")
        token = client_token(context.run.run_id, title, context.op_execution_context.retry_number)
        request = start_job_run(
            application_id=self.application_id,
            role_arn=self.role_arn,
            bundle=self._bundle(s3, str(extras["package"])),
            token=token,
            title=f"recsys {title}",
            tags={"recsys/computes": NOT_IN_TAGS.sub(" ", title)[:MOST_CHARACTERS_OF_A_TAG]},
            logs=self._logs,
            more_parameters=self.spark_parameters,
        )
        with self._folder(context, s3, token) as (bucket, folder):
            mailbox = _Mailbox(bucket=bucket, client=s3, interval=self.poll_seconds, folder=folder)
            job = _FollowedJob(
                client=emr,
                context_injector=PipesS3ContextInjector(bucket=bucket, client=s3, key_prefix=folder),
                message_reader=mailbox,
                forward_termination=False,  # it stops its job by itself, whatever keeps it from following
                poll_interval=self.poll_seconds,
                logs=self._logs,
            )
            failure = _followed(job, context, request, extras)
            return JobOutcome(mailbox.results, mailbox.messages, failure, job.place, job.facts)

    def client(self, service: str) -> Any:
        """A client of an AWS service, with credentials and region by the usual chain.

        Raises:
            SparkJobError: No region is configured.
        """
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None
        try:
            return boto3.client(service, region_name=region, config=PATIENTLY)
        except BotoCoreError as error:
            raise SparkJobError(
                f"{service} cannot be reached: {error}; AWS_REGION says in which region it is"
            ) from error

    @property
    def _logs(self) -> str:
        return f"{self.bundle}/logs"

    def _bundle(self, s3: Any, digest: str) -> BundlePlace:
        """The bundle of exactly this code."""
        bucket, prefix = _bucket_and_prefix(self.bundle)
        key = f"{prefix}{digest}/bundle.json"
        try:
            manifest = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except (BotoCoreError, ClientError) as error:
            raise SparkJobError(
                f"s3://{bucket}/{key} cannot be read ({error}); it belongs to the bundle of the code that runs here: "
                f"run `make spark-bundle` and copy build/spark-bundle to {self.bundle}, see docs/emr_serverless.md"
            ) from error
        return BundlePlace.of(self.bundle, digest, manifest)

    @contextmanager
    def _folder(self, context: dg.AssetExecutionContext, s3: Any, token: str) -> Iterator[tuple[str, str]]:
        """A folder for context and messages of one job, emptied at the end: bucket, and prefix with a last slash."""
        bucket, prefix = _bucket_and_prefix(self.bundle)
        folder = f"{prefix}pipes/{token}/"
        try:
            yield bucket, folder
        finally:
            try:
                listed = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder)
                for key in [item["Key"] for page in listed for item in page.get("Contents", ())]:
                    s3.delete_object(Bucket=bucket, Key=key)
            except (BotoCoreError, ClientError) as error:
                # They are small, and a rule of the bucket may clear them away; what the job has done counts.
                context.log.warning("messages of a job are left in s3://%s/%s: %s", bucket, folder, error)


def _followed(
    job: "_FollowedJob", context: dg.AssetExecutionContext, request: dict[str, Any], extras: Mapping[str, Any]
) -> str | None:
    """Start the job and wait for its end.

    Returns:
        In which way it failed; None for success.
    """
    try:
        # Of the asset's own context Pipes asks what Dagster has deprecated.
        job.run(context=context.op_execution_context, start_job_run_params=request, extras=dict(extras))
    except _EndedBadlyError as ended:
        return str(ended)
    except (BotoCoreError, ClientError) as error:
        if job.job_run_id is None:
            raise SparkJobError(f"{request['name']} could not be started on EMR Serverless: {error}") from error
        raise SparkJobError(f"nobody knows what became of {job.place}: {error}; {job.given_up}") from error
    return None


class _EndedBadlyError(Exception):
    """The job has ended, and not well."""


class _FollowedJob(PipesEMRServerlessClient):
    """One job run: remembers who it is, and ends with an error that says so.

    The waiting is our own: dagster-aws logs an address of the Spark UI that holds a key, needs permissions for it, and
    its error says nothing about the job.
    """

    def __init__(self, *, logs: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.job_run_id: str | None = None
        self.place = "no job"
        self.given_up = ""
        self.facts: dict[str, Any] = {}
        self._logs = logs

    def _start(self, context: Any, params: Any) -> Any:
        started = self.client.start_job_run(**params)
        application, self.job_run_id = started["applicationId"], started["jobRunId"]
        self.place = (
            f"job run {self.job_run_id} of EMR Serverless application {application} (logs: {self._logs}/applications/"
            f"{application}/jobs/{self.job_run_id}/SPARK_DRIVER/)"
        )
        self.facts = {"emr_job_run": self.job_run_id}
        context.log.info("started %s", self.place)
        return started

    def _wait_for_completion(self, context: Any, start_response: Any) -> Any:
        try:
            ended = self._ended(context, start_response["applicationId"])
        except BaseException:  # also when the run is terminated: whoever does not follow a job must not let it run on
            self._give_up(context, start_response)
            raise
        used = ended.get("totalResourceUtilization", {})
        self.facts |= {name: used[kind] for kind, name in HOURS.items() if kind in used}
        if ended["state"] != "SUCCESS":
            raise _EndedBadlyError(f"{ended['state']}: {ended.get('stateDetails', 'no details')}")
        return {"jobRun": ended}

    def _ended(self, context: Any, application_id: str) -> Any:
        told = None
        while True:
            run = self.client.get_job_run(applicationId=application_id, jobRunId=self.job_run_id)["jobRun"]
            if run["state"] != told:
                told = run["state"]
                context.log.info("job run %s is %s", self.job_run_id, told)
            if told not in UNDER_WAY:
                return run
            time.sleep(self.poll_interval)

    def _give_up(self, context: Any, start_response: Any) -> None:
        try:
            self._terminate(context, start_response)
            self.given_up = "it was told to stop"
        except (BotoCoreError, ClientError) as error:
            named = f"--application-id {start_response['applicationId']} --job-run-id {self.job_run_id}"
            self.given_up = f"it could not be stopped either ({error}): aws emr-serverless cancel-job-run {named}"
        context.log.warning("%s is not followed any more; %s", self.place, self.given_up)

    def _read_messages(self, *_: Any) -> None:
        """The mailbox reads by itself while the job runs."""

    def _extract_dagster_metadata(self, _: Any) -> Any:
        return {}


class _Mailbox(PipesS3MessageReader):
    """Reads messages from a known folder, and keeps what came also when the job fails."""

    def __init__(self, *, folder: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._place = f"{folder}messages"
        self._handler: Any = None

    @contextmanager
    def get_params(self) -> Iterator[dict[str, Any]]:
        with super().get_params() as params:
            yield {**params, "key_prefix": self._place}

    @contextmanager
    def read_messages(self, handler: Any) -> Iterator[Any]:
        self._handler = handler
        with super().read_messages(handler) as params:
            yield params

    @property
    def results(self) -> tuple[Any, ...]:
        return tuple(self._handler.get_reported_results())

    @property
    def messages(self) -> tuple[Any, ...]:
        return tuple(self._handler.get_custom_messages())


def _bucket_and_prefix(place: str) -> tuple[str, str]:
    """Of `s3://bucket/prefix`; the prefix ends with a slash unless it is empty."""
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    return bucket, f"{prefix}/" if prefix else ""
