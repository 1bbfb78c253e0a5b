"""The request that starts a job on EMR Serverless, as plain values. Sending it stays in `emr_serverless`."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_CHARACTERS_OF_A_NAME = 256
JOB_MINUTES = 720
"""After which a job is stopped: as long as Dagster lets a run last."""
PYTHON = "./environment/bin/python"
SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.showConsoleProgress": "false",
}
"""Said to `spark-submit`: as `spark-defaults` of the job they would replace all of the application's own."""


@dataclass(frozen=True)
class BundlePlace:
    """Where the parts of one bundle are.

    Attributes:
        entry: The script that `spark-submit` runs.
        package: Archive of this package.
        environment: Archive of a Python with the libraries.
    """

    entry: str
    package: str
    environment: str

    @classmethod
    def of(cls, root: str, digest: str, manifest: Mapping[str, str]) -> "BundlePlace":
        """Of the bundle made from some code.

        Args:
            root: `s3://bucket/prefix` of all bundles.
            digest: Of the code.
            manifest: Its `bundle.json`.
        """
        folder = f"{root}/{digest}"
        return cls(f"{folder}/entry.py", f"{folder}/package.tar.gz", f"{root}/{manifest['environment']}")


def client_token(run_id: str, step: str, attempt: int) -> str:
    """The same attempt of the same step asks for the same job, however often the request is sent."""
    return hashlib.sha256(f"{run_id} {step} {attempt}".encode()).hexdigest()


def start_job_run(
    *,
    application_id: str,
    role_arn: str,
    bundle: BundlePlace,
    token: str,
    title: str,
    tags: Mapping[str, str],
    logs: str,
    more_parameters: str,
) -> dict[str, Any]:
    """The parameters of `StartJobRun`; Dagster Pipes adds its own tags and variables.

    Args:
        application_id: The application.
        role_arn: What the job may do.
        bundle: What it runs.
        token: Requests with the same one start one job.
        title: Says to people what it computes.
        tags: Of the job.
        logs: `s3://` prefix that its logs go under.
        more_parameters: Of `spark-submit`; what they say goes before what is said here.
    """
    confs = {
        "spark.archives": f"{bundle.environment}#environment,{bundle.package}#package",
        "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": PYTHON,
        "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": PYTHON,
        "spark.executorEnv.PYSPARK_PYTHON": PYTHON,
        "spark.emr-serverless.driverEnv.PYTHONPATH": "./package",
        "spark.executorEnv.PYTHONPATH": "./package",
        **SESSION,
    }
    parameters = " ".join([*(f"--conf {name}={value}" for name, value in confs.items()), more_parameters]).strip()
    return {
        "applicationId": application_id,
        "executionRoleArn": role_arn,
        "clientToken": token,
        "name": title[:MOST_CHARACTERS_OF_A_NAME],
        "tags": dict(tags),
        "executionTimeoutMinutes": JOB_MINUTES,
        "jobDriver": {"sparkSubmit": {"entryPoint": bundle.entry, "sparkSubmitParameters": parameters}},
        "configurationOverrides": {
            "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": f"{logs}/"}},
        },
    }
