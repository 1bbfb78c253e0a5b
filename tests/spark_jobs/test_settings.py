"""What the environment says of EMR Serverless, and what is refused with a remedy."""

import re
from typing import Any

import pytest

from resources.emr_serverless import EmrServerless
from resources.engine import PolarsEngine
from resources.settings import EmrSettings, Settings, SettingsError
from resources.wiring import build_resources

COMPLETE = {
    "RECSYS_ENGINE": "spark",
    "RECSYS_LAKE": "s3://shop/lake",
    "RECSYS_LANDING": "s3://shop/landing",
    "RECSYS_EMR_APPLICATION_ID": "00f1example",
    "RECSYS_EMR_EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/jobs/recsys",
    "RECSYS_EMR_BUNDLE": "s3://shop/bundles/",
    "MLFLOW_TRACKING_URI": "https://mlflow.example.com",
}


def jobs_of(env: dict[str, str], **engines: Any) -> EmrServerless:
    jobs = build_resources(Settings.from_env(env), engines)["spark_jobs"]
    assert isinstance(jobs, EmrServerless)
    return jobs


def test_without_its_variables_there_are_no_jobs() -> None:
    settings = Settings.from_env({"RECSYS_ENGINE": "spark", "RECSYS_EMR_SPARK_PARAMETERS": "--conf a=b"})
    assert settings.emr is None
    assert "spark_jobs" not in build_resources(settings)


def test_an_application_is_described_by_three_variables() -> None:
    settings = Settings.from_env({**COMPLETE, "RECSYS_EMR_SPARK_PARAMETERS": " --conf spark.executor.memory=14g "})
    assert settings.emr == EmrSettings(
        application_id="00f1example",
        role_arn="arn:aws:iam::123456789012:role/jobs/recsys",
        bundle="s3://shop/bundles",
        spark_parameters="--conf spark.executor.memory=14g",
        tracking_uri="https://mlflow.example.com",
    )


def test_jobs_are_told_the_places_and_this_machine_reads_with_polars() -> None:
    resources = build_resources(Settings.from_env(COMPLETE))
    assert resources["spark_jobs"].environment == {
        "RECSYS_LAKE": "s3://shop/lake",
        "RECSYS_LANDING": "s3://shop/landing",
        "RECSYS_ENGINE": "spark",
        "MLFLOW_TRACKING_URI": "https://mlflow.example.com",
    }
    assert isinstance(resources["engine"], PolarsEngine)
    assert "RECSYS_EMR_APPLICATION_ID" not in resources["spark_jobs"].environment  # or a job would start jobs


def test_only_groups_on_spark_run_as_jobs() -> None:
    assert jobs_of(COMPLETE).groups == ["sources", "features", "models", "recommendations"]
    assert jobs_of({**COMPLETE, "RECSYS_ENGINE": "polars"}, features="spark").groups == ["features"]
    assert jobs_of(COMPLETE, models="polars", sources="polars").groups == ["features", "recommendations"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"RECSYS_EMR_BUNDLE": ""}, "RECSYS_EMR_BUNDLE is missing; write s3://bucket/prefix"),
        ({"RECSYS_EMR_BUNDLE": "/bundles"}, "RECSYS_EMR_BUNDLE is '/bundles'; write s3://bucket/prefix"),
        ({"RECSYS_EMR_BUNDLE": "s3://shop/a#b"}, "RECSYS_EMR_BUNDLE is 's3://shop/a#b'"),
        ({"RECSYS_EMR_BUNDLE": "s3://shop/a,b"}, "RECSYS_EMR_BUNDLE is 's3://shop/a,b'"),
        ({"RECSYS_EMR_APPLICATION_ID": ""}, "RECSYS_EMR_APPLICATION_ID is missing; write the id of an application"),
        ({"RECSYS_EMR_APPLICATION_ID": "My App"}, "RECSYS_EMR_APPLICATION_ID is 'My App'"),
        ({"RECSYS_EMR_EXECUTION_ROLE_ARN": "recsys"}, "RECSYS_EMR_EXECUTION_ROLE_ARN is 'recsys'; write arn:aws:iam::"),
        ({"RECSYS_LAKE": "/data/lake"}, "RECSYS_LAKE must be s3://bucket/prefix with EMR Serverless"),
        ({"RECSYS_LANDING": ""}, "RECSYS_LANDING must be s3://bucket/prefix with EMR Serverless"),
        ({"MLFLOW_TRACKING_URI": "https://me:secret@mlflow"}, "MLFLOW_TRACKING_URI holds a password"),
        ({"RECSYS_ENGINE": "polars"}, "no group is computed on Spark; say `engine: spark`"),
        ({"MLFLOW_TRACKING_URI": ""}, "need an MLflow server"),
        ({"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}, "need an MLflow server"),
    ],
)
def test_what_cannot_work_is_refused_with_what_would(changes: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(told)) as refused:
        build_resources(Settings.from_env(COMPLETE | changes))
    assert "secret" not in str(refused.value)


def test_without_models_and_lists_on_spark_jobs_need_no_mlflow_server() -> None:
    env = {**COMPLETE, "MLFLOW_TRACKING_URI": "", "RECSYS_ENGINE": "polars"}
    assert jobs_of(env, sources="spark", features="spark").groups == ["sources", "features"]
