"""Jobs on EMR Serverless: requests by the service's own model, messages through a real S3 endpoint.

The service answers by botocore's stubs, which check requests and answers against its model; the program of the job runs
in this process, with the variables that the request would give it.
"""

import json
import os
import re
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import dagster as dg
import pytest
from botocore.model import Shape
from botocore.stub import ANY, Stubber
from dagster_pipes import PipesContext, PipesMappingParamsLoader, PipesS3ContextLoader, PipesS3MessageWriter

from recsys_assets.columns import EVENTS, ITEMS, REJECTED_ROWS
from recsys_assets.definitions import build_definitions
from recsys_assets.platform import Platform
from recsys_assets.remote.assets import computed_by_jobs
from recsys_assets.remote.code import package_digest
from recsys_assets.remote.results import FAILURE
from recsys_assets.spark_jobs.entry import report, report_events
from resources import emr_serverless
from resources.emr_serverless import EmrServerless
from resources.settings import Settings
from resources.spark_jobs import SparkJobError
from resources.wiring import build_resources
from sensors.failures import failures_of

APPLICATION, ROLE, JOB = "00f1example", "arn:aws:iam::123456789012:role/recsys-jobs", "00g2job"
ENVIRONMENT_ARCHIVE = "environments/abc.tar.gz"
Program = Callable[[PipesContext], Any]
"""What a job does with its connection to Dagster."""


@dataclass
class Service:
    """EMR Serverless with one job.

    Attributes:
        stub: Answers in the order in which they were added; anything else is an error.
        s3: The client that the job's messages go through.
        program: What the job does once it is started.
        requests: Each operation that was asked for, with its parameters.
        at_look: Called at each look at the job.
    """

    stub: Stubber
    s3: Any
    program: Program = lambda _: None
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    at_look: Callable[[], None] = lambda: None

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of each request for an operation."""
        return [params for name, params in self.requests if name == operation]

    def starts(self, *states: str, details: str = "fine") -> None:
        """The next job is started, and is in these states at one look after the other."""
        arn = f"arn:aws:emr-serverless:us-east-1:123456789012:/applications/{APPLICATION}/jobruns/{JOB}"
        started = {"applicationId": APPLICATION, "jobRunId": JOB, "arn": arn}
        self.stub.add_response("start_job_run", started)
        for state in states:
            self.stub.add_response("get_job_run", {"jobRun": job_run(state, arn, details)})

    def note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.requests.append((model.name, params))
        if model.name == "StartJobRun":
            self.run(params["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"])
        if model.name == "GetJobRun":
            self.at_look()

    def run(self, parameters: str) -> None:
        """What EMR does with the request, in short."""
        prefix = "spark.emr-serverless.driverEnv."
        words = shlex.split(parameters)
        confs = dict(one.split("=", 1) for flag, one in pairwise(words) if flag == "--conf")
        variables = {name.removeprefix(prefix): value for name, value in confs.items() if name.startswith(prefix)}
        with PipesContext(
            PipesMappingParamsLoader(variables),
            PipesS3ContextLoader(self.s3),
            PipesS3MessageWriter(self.s3, interval=0),
        ) as pipes:
            self.program(pipes)


def job_run(state: str, arn: str, details: str) -> dict[str, Any]:
    now = datetime(2026, 1, 4, tzinfo=UTC)
    names = {"applicationId": APPLICATION, "jobRunId": JOB, "arn": arn, "createdBy": ROLE, "executionRole": ROLE}
    times = {"createdAt": now, "updatedAt": now}
    used = {"totalResourceUtilization": {"vCPUHour": 0.5, "memoryGBHour": 2.0, "storageGBHour": 0.0}}
    driver = {"jobDriver": {"sparkSubmit": {"entryPoint": "s3://bundle/entry.py"}}, "releaseLabel": "emr-7.13.0"}
    is_over = state in ("SUCCESS", "FAILED", "CANCELLED")
    return {**names, **times, **driver, "state": state, "stateDetails": details, **(used if is_over else {})}


@pytest.fixture
def service(s3_bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The service, and a bundle of this code in the bucket."""
    monkeypatch.setattr("dagster._core.pipes.utils.WAIT_FOR_LOGS_AFTER_EXECUTION_INTERVAL", 0)
    monkeypatch.setattr("dagster._core.pipes.utils.DEFAULT_SLEEP_INTERVAL", 0.05)
    monkeypatch.setattr("dagster_pipes.time", SimpleNamespace(sleep=lambda _, sleep=time.sleep: sleep(0.05)))
    emr, s3 = boto3.client("emr-serverless"), boto3.client("s3")
    clients = {"emr-serverless": emr, "s3": s3}
    monkeypatch.setattr(emr_serverless.boto3, "client", lambda name, **_: clients[name])
    manifest = json.dumps({"environment": ENVIRONMENT_ARCHIVE})
    s3_bucket.put_object(Key=f"recsys/{package_digest()}/bundle.json", Body=manifest.encode())
    with Stubber(emr) as stub:
        built = Service(stub, s3)
        emr.meta.events.register_first("before-parameter-build.emr-serverless.*", built.note)
        yield built


def place(bucket: str, **others: Any) -> EmrServerless:
    fields = {"groups": ["sources", "features"], "environment": {}, "poll_seconds": 0, **others}
    return EmrServerless(
        application_id=APPLICATION,
        role_arn=ROLE,
        bundle=f"s3://{bucket}/recsys",
        spark_parameters="--conf spark.executor.memory=14g",
        **fields,
    )


@pytest.fixture
def jobs(s3_bucket: Any) -> EmrServerless:
    """A place of jobs."""
    return place(s3_bucket.name)


@pytest.fixture
def tiny_asset(shop_platform: Platform, jobs: EmrServerless) -> dg.AssetsDefinition:
    """An asset of a Spark group with a blocking check, to be computed by jobs."""

    @dg.asset(
        key=["features", "tiny"],
        group_name="features",
        check_specs=[dg.AssetCheckSpec("is_sound", asset=["features", "tiny"], blocking=True)],
    )
    def tiny() -> dg.MaterializeResult:
        raise AssertionError("it is computed by a job")

    (by_job,) = computed_by_jobs(shop_platform, [tiny], {"spark_jobs": jobs})
    assert isinstance(by_job, dg.AssetsDefinition)
    return by_job


def reports(*, is_sound: bool = True) -> Program:
    """A program that reports a materialization and its check."""

    def program(pipes: PipesContext) -> None:
        pipes.report_asset_materialization(metadata={"rows": 3}, data_version="7")
        pipes.report_asset_check(check_name="is_sound", passed=is_sound, severity="ERROR")

    return program


def run(asset: dg.AssetsDefinition, jobs: EmrServerless, *others: Any, **options: Any) -> dg.ExecuteInProcessResult:
    options = {"raise_on_error": False, **options}
    return dg.materialize([asset, *others], resources={"spark_jobs": jobs}, **options)


def failure(result: dg.ExecuteInProcessResult) -> str:
    """Why its one step failed."""
    ((_, words),) = failures_of([event for event in result.all_events if event.is_step_failure]).errors
    return words


# --- The request ---


def against_model(shape: Shape, value: Any, where: str = "") -> list[str]:
    """What of a request the service would refuse by its own model: botocore itself looks at types only."""
    limits = shape.metadata
    found = []
    if shape.type_name == "structure":
        found += [f"{where}.{name} is missing" for name in shape.required_members if name not in value]
        for name, member in value.items():
            known = shape.members.get(name)
            found += (
                [f"{where}.{name} is unknown"] if known is None else against_model(known, member, f"{where}.{name}")
            )
    elif shape.type_name == "map":
        for name, member in value.items():
            found += against_model(shape.key, name, f"{where} key") + against_model(
                shape.value, member, f"{where}.{name}"
            )
    elif shape.type_name == "list":
        found += [wrong for member in value for wrong in against_model(shape.member, member, f"{where}[]")]
    size = len(value) if hasattr(value, "__len__") else value
    if not limits.get("min", 0) <= size <= limits.get("max", size):
        found.append(f"{where} has {size}")
    if "pattern" in limits and not re.fullmatch(limits["pattern"], value):
        found.append(f"{where} is {value!r}")
    return found


def test_the_request_is_one_that_the_service_takes(
    service: Service, tiny_asset: dg.AssetsDefinition, jobs: EmrServerless
) -> None:
    service.program = reports()
    service.starts("SUCCESS")
    assert run(tiny_asset, jobs, tags={"team": "shop"}).success
    (request,) = service.asked("StartJobRun")
    model = service.stub.client.meta.service_model.operation_model("StartJobRun").input_shape
    assert against_model(model, request) == []
    assert against_model(model, request | {"clientToken": "no token!", "more": 1}) != []
    folder = f"{jobs.bundle}/{package_digest()}"
    assert (request["applicationId"], request["executionRoleArn"]) == (APPLICATION, ROLE)
    assert request["name"] == "recsys features/tiny"
    assert request["tags"]["recsys/computes"] == "features/tiny"
    assert "dagster/run-id" in request["tags"]
    assert request["executionTimeoutMinutes"] == 720
    assert request["jobDriver"]["sparkSubmit"]["entryPoint"] == f"{folder}/entry.py"
    parameters = request["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"]
    archives = f"{jobs.bundle}/{ENVIRONMENT_ARCHIVE}#environment,{folder}/package.tar.gz#package"
    for setting in (
        f"spark.archives={archives}",
        "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON=./environment/bin/python",
        "spark.emr-serverless.driverEnv.PYSPARK_PYTHON=./environment/bin/python",
        "spark.executorEnv.PYSPARK_PYTHON=./environment/bin/python",
        "spark.emr-serverless.driverEnv.PYTHONPATH=./package",
        "spark.executorEnv.PYTHONPATH=./package",
        "spark.sql.session.timeZone=UTC",
        "spark.executor.memory=14g",
    ):
        assert f"--conf {setting} " in parameters
    assert request["configurationOverrides"] == {  # none that would replace the application's own spark-defaults
        "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": f"{jobs.bundle}/logs/"}}
    }


def test_each_run_has_a_token_of_its_own_and_a_request_that_is_repeated_keeps_it() -> None:
    tokens = [
        emr_serverless.client_token(*asked) for asked in (("r", "s", 0), ("r", "s", 0), ("r", "s", 1), ("q", "s", 0))
    ]
    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", token) for token in tokens)


def test_nothing_is_started_while_the_bundle_of_this_code_is_not_there(
    service: Service, s3_bucket: Any, tiny_asset: dg.AssetsDefinition, jobs: EmrServerless
) -> None:
    s3_bucket.objects.delete()
    words = failure(run(tiny_asset, jobs))
    assert f"recsys/{package_digest()}/bundle.json cannot be read" in words
    assert "make spark-bundle" in words
    assert service.requests == []


def test_a_job_that_may_not_be_started_says_so(
    service: Service, tiny_asset: dg.AssetsDefinition, jobs: EmrServerless
) -> None:
    service.stub.add_client_error("start_job_run", "AccessDeniedException", "not authorized to perform: iam:PassRole")
    words = failure(run(tiny_asset, jobs))
    assert words.startswith("recsys features/tiny could not be started on EMR Serverless")
    assert "iam:PassRole" in words


# --- What comes back ---


def test_what_the_program_does_comes_back_as_if_it_had_happened_here(
    service: Service, s3_bucket: Any, shop: Path, shop_platform: Platform, tmp_path: Path, monkeypatch: Any
) -> None:
    """The ingestion of two days, with Polars in the place of Spark."""
    days = {"dagster/asset_partition_range_start": "2026-01-02", "dagster/asset_partition_range_end": "2026-01-03"}
    asked = [dg.AssetKey(table.key) for table in (EVENTS, ITEMS, REJECTED_ROWS)]
    service.program = report
    service.starts("SUBMITTED", "PENDING", "SCHEDULED", "QUEUED", "RUNNING", "SUCCESS")
    events = {}
    for where in ("here", "there"):
        places = {"RECSYS_LAKE": str(tmp_path / where), "RECSYS_LANDING": str(shop / "landing")}
        for name, value in places.items():
            monkeypatch.setenv(name, value)
        resources = build_resources(Settings.from_env({**places, "RECSYS_HOME": str(tmp_path)}), shop_platform.engine)
        if where == "there":
            resources["spark_jobs"] = place(s3_bucket.name, environment=places)
        assets = build_definitions(shop_platform, resources).assets or ()
        result = dg.materialize(
            [one for one in assets if isinstance(one, dg.AssetsDefinition | dg.AssetSpec)],
            selection=asked,
            resources=resources,
            tags=days,
        )
        events[where] = [told(event) for event in result.get_asset_materialization_events()]
    of_the_job = {"emr_job_run": JOB, "vcpu_hours": 0.5, "memory_gb_hours": 2.0, "storage_gb_hours": 0.0}
    assert [one[:2] for one in events["there"]] == [one[:2] for one in events["here"]]
    for (*_, found), (*_, expected) in zip(events["there"], events["here"], strict=True):
        assert found | {"dagster/uri": ""} == expected | of_the_job | {"dagster/uri": ""}
    assert service.asked("StartJobRun")[0]["name"] == "recsys sources/events and 2 more 2026-01-02..2026-01-03"


def told(event: dg.DagsterEvent) -> tuple[str, str | None, dict[str, Any]]:
    made = event.step_materialization_data.materialization
    return made.asset_key.to_user_string(), made.partition, {name: one.value for name, one in made.metadata.items()}


def test_data_versions_and_metadata_of_every_kind_come_back(
    service: Service, tiny_asset: dg.AssetsDefinition, jobs: EmrServerless
) -> None:
    column = dg.TableColumn("a", "int", "of a", dg.TableColumnConstraints(nullable=False), {"pii": ""})
    schema = dg.TableSchema([column])
    metadata = {
        "text": "words",
        "number": 1,
        "share": 0.5,
        "is_so": True,
        "nothing": None,
        "json": dg.MetadataValue.json({"a": [1, None]}),
        "picture": dg.MetadataValue.md("![](data:image/png;base64,AAAA)"),
        "url": dg.MetadataValue.url("https://example.com"),
        "path": dg.MetadataValue.path("/lake"),
        "asset": dg.MetadataValue.asset(dg.AssetKey(["features", "tiny"])),
        "moment": dg.MetadataValue.timestamp(1_767_607_200.0),
        "table": dg.MetadataValue.table([dg.TableRecord({"a": 1})], schema),
        "schema": schema,
        "lineage": dg.TableColumnLineage({"a": [dg.TableColumnDep(dg.AssetKey(["sources", "events"]), "item_id")]}),
    }

    @dg.asset(key=["features", "tiny"])
    def computed() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion("41"))

    mine = dg.materialize([computed])
    service.program = lambda pipes: report_events(pipes, mine.all_events)
    service.starts("SUCCESS")
    theirs = run(tiny_asset, jobs)
    made, expected = (
        result.get_asset_materialization_events()[0].step_materialization_data.materialization
        for result in (theirs, mine)
    )
    assert {name: made.metadata[name] for name in metadata} == dict(expected.metadata)
    assert (made.tags or {})["dagster/data_version"] == "41"


def test_a_version_that_dagster_made_up_in_the_job_is_made_up_again_here(
    service: Service, tiny_asset: dg.AssetsDefinition, jobs: EmrServerless
) -> None:
    @dg.asset(key=["features", "tiny"])
    def computed() -> None: ...

    mine = dg.materialize([computed])
    service.program = lambda pipes: report_events(pipes, mine.all_events)
    service.starts("SUCCESS")
    (made,) = run(tiny_asset, jobs).get_asset_materialization_events()
    assert "dagster/data_version_is_user_provided" not in (made.step_materialization_data.materialization.tags or {})


def test_context_and_messages_are_cleared_away_afterwards(
    service: Service, s3_bucket: Any, tiny_asset: dg.AssetsDefinition, jobs: EmrServerless
) -> None:
    seen: list[str] = []

    def program(pipes: PipesContext) -> None:
        seen.extend(one.key for one in s3_bucket.objects.all())
        reports()(pipes)

    service.program = program
    service.starts("SUCCESS")
    assert run(tiny_asset, jobs).success
    token = service.asked("StartJobRun")[0]["clientToken"]
    assert any(re.fullmatch(rf"recsys/pipes/{token}/\w+/context\.json", key) for key in seen)
    assert [one.key for one in s3_bucket.objects.all()] == [f"recsys/{package_digest()}/bundle.json"]


# --- What goes wrong ---


def test_a_failing_blocking_check_comes_back_and_blocks_what_follows(
    service: Service, tiny_asset: dg.AssetsDefinition, jobs: EmrServerless
) -> None:
    @dg.asset(deps=[dg.AssetKey(["features", "tiny"])])
    def follower() -> None: ...

    def program(pipes: PipesContext) -> None:
        pipes.report_asset_check(check_name="is_sound", passed=False, severity="ERROR")
        pipes.report_custom_message({FAILURE: "features/tiny is left as it was"})

    service.program = program
    service.starts("RUNNING", "FAILED", details="exit code 1")
    result = run(tiny_asset, jobs, follower)
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.blocking) == (False, True)
    assert failure(result).startswith(f"features/tiny is left as it was [job run {JOB} of EMR Serverless application")
    assert failures_of(result.all_events).errors == ()  # a refusal, and no error
    assert not result.get_asset_materialization_events()


def test_a_check_that_fails_in_a_job_that_ends_well_blocks_what_follows(
    service: Service, tiny_asset: dg.AssetsDefinition, jobs: EmrServerless
) -> None:
    @dg.asset(deps=[dg.AssetKey(["features", "tiny"])])
    def follower() -> None: ...

    service.program = reports(is_sound=False)
    service.starts("SUCCESS")
    result = run(tiny_asset, jobs, follower)
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [
        dg.AssetKey(["features", "tiny"])
    ]


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_job_that_dies_is_an_error_that_names_it_and_its_logs(
    service: Service, tiny_asset: dg.AssetsDefinition, jobs: EmrServerless, state: str
) -> None:
    service.starts("RUNNING", state, details="Driver ran out of memory")
    words = failure(run(tiny_asset, jobs))
    logs = f"{jobs.bundle}/logs/applications/{APPLICATION}/jobs/{JOB}/SPARK_DRIVER/"
    assert words.startswith(f"job run {JOB} of EMR Serverless application {APPLICATION} (logs: {logs})")
    assert words.endswith(f"{state}: Driver ran out of memory")


def test_a_job_that_says_it_succeeded_and_reported_nothing_is_an_error(
    service: Service, tiny_asset: dg.AssetsDefinition, jobs: EmrServerless
) -> None:
    service.starts("SUCCESS")
    words = failure(run(tiny_asset, jobs))
    assert words.startswith(f"job run {JOB} ")
    assert "did not report features/tiny" in words


@pytest.mark.parametrize(("is_stopped", "told_about_it"), [(True, "it was told to stop"), (False, "cancel-job-run")])
def test_a_job_that_cannot_be_followed_any_more_is_stopped_and_named(
    service: Service,
    tiny_asset: dg.AssetsDefinition,
    jobs: EmrServerless,
    is_stopped: bool,
    told_about_it: str,
) -> None:
    service.starts("RUNNING")
    service.stub.add_client_error("get_job_run", "AccessDeniedException", "the session has expired")
    if is_stopped:
        service.stub.add_response("cancel_job_run", {"applicationId": APPLICATION, "jobRunId": JOB})
    else:
        service.stub.add_client_error("cancel_job_run", "AccessDeniedException", "the session has expired")
    words = failure(run(tiny_asset, jobs))
    assert words.startswith(f"nobody knows what became of job run {JOB} of EMR Serverless application {APPLICATION}")
    assert "the session has expired" in words
    assert told_about_it in words


def test_terminating_the_run_cancels_the_job(service: Service, tiny_asset: dg.AssetsDefinition, s3_bucket: Any) -> None:
    service.starts("RUNNING")
    service.stub.add_response(
        "cancel_job_run",
        {"applicationId": APPLICATION, "jobRunId": JOB},
        {"applicationId": APPLICATION, "jobRunId": ANY},
    )
    soon = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))
    service.at_look = soon.start
    result = run(tiny_asset, place(s3_bucket.name, poll_seconds=60))
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_failure_data.error.cls_name == "DagsterExecutionInterruptedError"
    assert service.asked("CancelJobRun") == [{"applicationId": APPLICATION, "jobRunId": JOB}]
    service.stub.assert_no_pending_responses()


def test_without_a_region_the_error_says_what_to_set(jobs: EmrServerless, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(SparkJobError, match="AWS_REGION says in which region"):
        jobs.client("emr-serverless")
