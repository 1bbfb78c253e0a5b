"""What the environment may say, and what is refused with a remedy."""

import pytest

from resources.settings import Settings, SettingsError


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
