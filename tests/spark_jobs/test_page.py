"""What docs/emr_serverless.md tells an owner to write is what the code reads, asks for and reports."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from recsys_assets.platform import BUNDLED_CONFIG, Platform
from recsys_assets.spark_jobs.entry import OLDEST_SPARK
from resources.emr_request import JOB_MINUTES
from resources.emr_serverless import HOURS
from resources.settings import EMR_VARIABLES, Settings
from resources.wiring import build_resources

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "emr_serverless.md").read_text(encoding="utf-8")
CALLED = {"StartJobRun", "GetJobRun", "CancelJobRun"}
TAGS_OF_PIPES = {"TagResource"}
"""Asked for because the request that starts a job carries tags."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def statements() -> dict[str, dict[str, Any]]:
    """Every statement of the policies, by its name."""
    found = [one for block in blocks("json") for one in json.loads(block)["Statement"]]
    named = {one["Sid"]: one for one in found}
    assert len(named) == len(found)
    return named


def actions(*names: str) -> set[str]:
    """What some statements allow, by their names."""
    found = statements()
    return {action for name in names for action in as_list(found[name]["Action"])}


def as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def exported() -> dict[str, str]:
    words = [word for block in blocks("sh") for line in lines_of(block) for word in shlex.split(line)]
    pairs = [word.partition("=") for word in words if re.match(r"[A-Z_]+=", word)]
    return {name: value for name, _, value in reversed(pairs)}  # the first of several is the one to begin with


def lines_of(block: str) -> list[str]:
    return [line for line in block.replace("\\\n", " ").splitlines() if line.startswith("export ")]


def test_its_policies_are_json_and_allow_nothing_everywhere() -> None:
    assert len(blocks("json")) == 3
    for block in blocks("json"):
        policy = json.loads(block)
        assert set(policy) == {"Version", "Statement"}
        for one in policy["Statement"]:
            assert one["Effect"] == "Allow"
            assert not any(action.endswith("*") for action in as_list(one["Action"]))
            assert "*" not in as_list(one.get("Resource", []))


def test_the_code_location_may_do_with_jobs_what_it_does_and_no_more() -> None:
    allowed = actions("StartJobs", "FollowTagAndCancelJobs")
    assert allowed == {f"emr-serverless:{name}" for name in CALLED | TAGS_OF_PIPES}
    operations = boto3.client("emr-serverless", region_name="us-east-1").meta.service_model.operation_names
    assert set(operations) >= CALLED | TAGS_OF_PIPES
    source = (ROOT / "resources" / "emr_serverless.py").read_text(encoding="utf-8")
    by_itself = {snake(name) for name in operations if f".{snake(name)}(" in source}
    assert by_itself == {"start_job_run", "get_job_run"}  # cancelling is dagster-aws's part


def snake(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()


def test_jobs_write_where_messages_logs_and_the_lake_are_and_nowhere_else() -> None:
    writing = {"s3:PutObject", "s3:DeleteObject"}
    of_the_jobs = ("ReadBundleAndLanding", "LeaveMessagesAndLogs", "WriteTheLake", "ListThem")
    found = statements()
    written = {
        place
        for name in of_the_jobs
        if writing & set(as_list(found[name]["Action"]))
        for place in as_list(found[name]["Resource"])
    }
    prefix = "arn:aws:s3:::shop"
    assert written == {f"{prefix}/bundles/pipes/*", f"{prefix}/bundles/logs/*", f"{prefix}/lake/*"}


def test_its_variables_are_those_that_are_read_here_and_in_the_containers() -> None:
    names = set(re.findall(r"RECSYS_EMR_[A-Z_]+", PAGE))
    settings = (ROOT / "resources" / "settings.py").read_text(encoding="utf-8")
    assert names == set(re.findall(r"RECSYS_EMR_[A-Z_]*[A-Z]", settings))
    assert set(EMR_VARIABLES) < names
    for file in ("compose.yaml", ".env.example"):
        text = (ROOT / "deploy" / file).read_text(encoding="utf-8")
        assert set(re.findall(r"RECSYS_EMR_[A-Z_]+", text)) == names
    table = re.findall(r"^\| `(RECSYS_EMR_[A-Z_]+)` \|", PAGE, re.MULTILINE)
    assert sorted(table) == sorted(names)


def test_its_settings_and_its_engines_together_describe_an_application() -> None:
    (engine,) = blocks("yaml")
    content = yaml.safe_load(BUNDLED_CONFIG.read_text(encoding="utf-8")) | yaml.safe_load(engine)
    platform = Platform.model_validate(content)
    resources = build_resources(Settings.from_env(exported()), platform.engine)
    jobs = resources["spark_jobs"]
    assert jobs.groups == ["sources", "features"]
    assert jobs.application_id in statements()["StartJobs"]["Resource"]
    assert jobs.role_arn == statements()["GiveJobsTheirRole"]["Resource"]
    assert jobs.spark_parameters.startswith("--conf spark.executor.memory=14g --conf ")


@pytest.mark.parametrize("name", ["emr_job_run", *HOURS.values()])
def test_it_names_what_a_job_reports_of_its_cost(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_it_says_which_spark_the_application_must_have() -> None:
    assert f"that must be {OLDEST_SPARK}.0 or newer" in PAGE
    assert f"`the jobs need Spark {OLDEST_SPARK} or newer`" in PAGE


def test_it_says_when_a_job_is_stopped() -> None:
    assert f"every job is stopped after {JOB_MINUTES // 60} hours" in PAGE
    dagster = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text(encoding="utf-8"))
    assert dagster["run_monitoring"]["max_runtime_seconds"] == JOB_MINUTES * 60


@pytest.mark.parametrize(
    "words",
    [
        "cannot be read",
        "could not be started on EMR Serverless",
        "ended without a word",
        "ended well and did not report",
        "nobody knows what became of",
    ],
)
def test_the_failures_that_it_explains_are_those_that_the_code_tells(words: str) -> None:
    told = [ROOT / "resources" / "emr_serverless.py", ROOT / "recsys_assets" / "remote" / "assets.py"]
    assert words in PAGE
    assert any(words in file.read_text(encoding="utf-8") for file in told)
