"""What the environment may say, and what is refused with a remedy."""

import pytest

from resources.settings import Settings, SettingsError
from resources.wiring import build_model_registry


@pytest.mark.parametrize("home", ["/data/my shop", "/data/büro", "/data/a#b", "/data/a%20b"])
def test_a_lake_whose_name_the_libraries_cannot_read_is_refused(home: str) -> None:
    with pytest.raises(SettingsError, match="set RECSYS_LAKE"):
        Settings.from_env({"RECSYS_HOME": home})
    assert Settings.from_env({"RECSYS_HOME": home, "RECSYS_LAKE": "/data/lake_1.x-y~z"}).lake == "/data/lake_1.x-y~z"


def test_only_known_engines_are_accepted() -> None:
    with pytest.raises(SettingsError, match="use one of polars, spark"):
        Settings.from_env({"RECSYS_ENGINE": "duckdb"})


def test_buckets_and_folders_are_both_places() -> None:
    settings = Settings.from_env({"RECSYS_HOME": "/data", "RECSYS_LANDING": "s3://shop/landing/"})
    assert (settings.lake, settings.landing) == ("/data/lake", "s3://shop/landing")


def test_models_and_logs_of_runs_may_have_places_of_their_own() -> None:
    assert Settings.from_env({}).artifacts == Settings.from_env({}).compute_logs == ""
    given = {"RECSYS_ARTIFACTS": "s3://shop/models/", "RECSYS_COMPUTE_LOGS": "s3://shop/logs/"}
    settings = Settings.from_env(given)
    assert (settings.artifacts, settings.compute_logs) == ("s3://shop/models", "s3://shop/logs")
    assert build_model_registry(settings).artifact_root == "s3://shop/models"
