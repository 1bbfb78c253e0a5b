"""Where what the steps of runs print is kept: in the home, or on S3 where the environment says so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from recsys_assets.cli.installation import Installation
from recsys_assets.platform import Platform
from resources.settings import Settings, SettingsError


def installation(home: Path, platform: Platform, compute_logs: str = "") -> Installation:
    return Installation(Settings(home=home, lake="", landing="", compute_logs=compute_logs), platform)


def written(home: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((home / "dagster" / "dagster.yaml").read_text(encoding="utf-8"))
    return content


@dg.op
def speak() -> None:
    print("a word of the step")  # noqa: T201 - what a step prints is what this is about


@dg.job
def speaking() -> None:
    speak()


@pytest.fixture
def on_s3(tmp_path: Path, tiny_platform: Platform, s3_bucket: Any) -> Iterator[Installation]:
    made = installation(tmp_path, tiny_platform, f"s3://{s3_bucket.name}/logs/of/runs")
    yield made
    made.instance.dispose()


def test_what_a_step_prints_lands_in_the_bucket_and_is_read_from_there(on_s3: Installation, s3_bucket: Any) -> None:
    run = speaking.execute_in_process(instance=on_s3.instance)
    keys = [item.key for item in s3_bucket.objects.all()]
    assert all(key.startswith(f"logs/of/runs/storage/{run.run_id}/compute_logs/") for key in keys)
    (out,) = (key for key in keys if key.endswith(".out"))
    assert s3_bucket.Object(out).get()["Body"].read() == b"a word of the step\n"
    log_key = [run.run_id, "compute_logs", out.rpartition("/")[2].removesuffix(".out")]
    data = on_s3.instance.compute_log_manager.get_log_data(log_key)
    assert data.stdout == b"a word of the step\n"


def test_a_bucket_that_is_gone_does_not_fail_the_run(on_s3: Installation, s3_bucket: Any) -> None:
    _ = on_s3.instance
    s3_bucket.delete()
    assert speaking.execute_in_process(instance=on_s3.instance).success


def test_no_keys_stand_in_the_file(on_s3: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    on_s3.prepare_dagster_home()
    assert "very-secret" not in (tmp_path / "dagster" / "dagster.yaml").read_text(encoding="utf-8")


def test_what_people_wrote_stays_while_the_place_follows_the_variable(tmp_path: Path, tiny_platform: Platform) -> None:
    installation(tmp_path, tiny_platform).prepare_dagster_home()
    file = tmp_path / "dagster" / "dagster.yaml"
    assert "compute_logs" not in written(tmp_path)
    own = file.read_text(encoding="utf-8").replace("max_concurrent_runs: 2", "max_concurrent_runs: 7")
    file.write_text(own, encoding="utf-8")
    for place in ("s3://one/a", "s3://two"):
        installation(tmp_path, tiny_platform, place).prepare_dagster_home()
        content = written(tmp_path)
        assert content["concurrency"]["runs"]["max_concurrent_runs"] == 7
        assert f"s3://{content['compute_logs']['config']['bucket']}" == place.removesuffix("/a")
    installation(tmp_path, tiny_platform).prepare_dagster_home()
    assert file.read_text(encoding="utf-8") == own


@pytest.mark.parametrize("place", ["/logs", "s3://", "s3://Bucket/x", "s3://bucket/a b"])
def test_another_place_than_a_bucket_is_refused(place: str) -> None:
    with pytest.raises(SettingsError, match="RECSYS_COMPUTE_LOGS is"):
        Settings.from_env({"RECSYS_COMPUTE_LOGS": place})
