"""`recsys reproduce` on an installation that did everything by itself; and a damaged artifact stops nothing else."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import yaml

from recsys_assets.cli import main
from recsys_assets.cli.installation import Installation
from recsys_assets.columns import TRAINING_SET, recommendations_table
from recsys_assets.forgetting import forget
from recsys_assets.models.artifact import ARRAYS
from recsys_assets.models.versions import CANDIDATE, RELEASE
from recsys_assets.registry.serving_versions import TRAINED_THROUGH
from recsys_assets.serving.generations import current

LAST_DAY = "2026-02-16"
Told = Callable[..., tuple[int, str]]


@pytest.fixture
def recsys(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Told:
    """Runs a command in an installation whose configuration has changed; gives exit code and words."""

    def run(installation: Installation, *arguments: str) -> tuple[int, str]:
        content = installation.platform.model_dump(mode="json", by_alias=True, exclude_none=True)
        content["training"] |= {"seed": 99, "holdout_days": 5}
        content["families"]["als"] |= {"window_days": 11, "parameters": {"factors": 3}}
        content["families"]["popularity"] |= {"window_days": 5}
        config = tmp_path / "changed.yaml"
        config.write_text(yaml.safe_dump(content), encoding="utf-8")
        for name, value in (("HOME", installation.settings.home), ("CONFIG", config)):
            monkeypatch.setenv(f"RECSYS_{name}", str(value))
        for name in ("LAKE", "LANDING", "REDIS_URL", "ENGINE"):
            monkeypatch.delenv(f"RECSYS_{name}", raising=False)
        monkeypatch.setattr("sys.argv", ["recsys", *arguments])
        with pytest.raises(SystemExit) as ending:
            main()
        out, err = capfd.readouterr()
        return int(ending.value.code or 0), " ".join((out + err).split())

    return run


@pytest.mark.parametrize("family", ["als", "popularity"])
def test_both_artifacts_come_out_as_they_were_whatever_is_configured_today(
    finished: Installation, recsys: Told, family: str
) -> None:
    code, words = recsys(finished, "reproduce", family, "1")
    assert code == 0, words
    assert words.count("identical") == 2
    assert words.count("of features/training_set, by their digest the recorded ones") == 2


def test_an_unknown_version_or_family_is_one_message(finished: Installation, recsys: Told) -> None:
    assert recsys(finished, "reproduce", "als", "9")[1].endswith("als has no version 9; `recsys models` lists them")
    assert recsys(finished, "reproduce", "asl", "1")[1].endswith("asl has no version 1; `recsys models` lists them")
    code, words = recsys(finished, "reproduce", "a-l-s", "1")
    assert (code, words[:6]) == (1, "error:")
    assert "'a-l-s' cannot be the name of a family" in words


def test_compaction_and_vacuum_do_not_matter_but_forgetting_does_and_is_named(
    copied: Installation, recsys: Told
) -> None:
    lake = copied.lake
    table = lake.table(TRAINING_SET.name)
    assert table is not None
    table.optimize.z_order(["item_id"])  # every row lies elsewhere now
    lake.vacuum(TRAINING_SET.name)
    code, words = recsys(copied, "reproduce", "als", "1")
    assert (code, words.count("identical")) == (0, 2), words
    assert words.count("that features/training_set holds today") == 2

    user = str(lake.scan(TRAINING_SET).select("user_id").collect()["user_id"].mode().sort()[0])
    client = copied.online_store.connect()
    forget(user, date(2026, 11, 23), lake, copied.model_registry, copied.platform.families, client)
    client.close()
    code, words = recsys(copied, "reproduce", "als", "1")
    assert (code, words.count("identical"), words.count("not made")) == (1, 0, 2)
    assert "candidate: the training rows that it was fitted on are gone (Delta version" in words
    assert "rewritten to forget, 2026-11-23" in words


def test_a_damaged_release_refuses_to_be_ranked_with_and_leaves_what_is_served(
    copied: Installation, tmp_path: Path
) -> None:
    """Even where somebody points the alias at it past the gate."""
    registry, lake, broken = copied.model_registry, copied.lake, tmp_path / "broken"
    broken.mkdir()
    before = registry.approved("als")
    assert before is not None
    with registry.artifact(before, RELEASE) as folder:
        content = bytearray((folder / ARRAYS).read_bytes())
        content[len(content) // 2] ^= 4
        for file in folder.iterdir():
            (broken / file.name).write_bytes(content if file.name == ARRAYS else file.read_bytes())
    damaged = registry.register("als", before.slot, broken, tags={TRAINED_THROUGH: LAST_DAY}, params={})
    registry.add_artifact(damaged, broken, RELEASE)
    registry.set_status(damaged, "Approved", "for the test")
    registry.point_approved_at(damaged)
    client = copied.online_store.connect()
    lists, generation = lake.version(recommendations_table("als").name), current(client)

    job = copied.definitions().resolve_implicit_global_asset_job_def()
    paths = (["recommendations", "als"], ["recommendations", "final"], ["serving", "online_store"])
    keys = [dg.AssetKey(path) for path in paths]
    ran = job.execute_in_process(
        instance=copied.instance, asset_selection=keys, partition_key=LAST_DAY, raise_on_error=False
    )
    assert not ran.success
    assert lake.version(recommendations_table("als").name) == lists
    assert current(client) == generation
    client.close()
    (failure,) = (event for event in ran.all_events if event.is_step_failure)
    message = str(failure.step_failure_data.error)
    assert f"als version {damaged.version}, release: the als artifact has arrays that are not those" in message
    assert "Train the slot again, or roll back to another version" in message


def test_the_same_slot_trained_again_is_the_same_artifact(finished: Installation) -> None:
    """What is stored holds no moment and no place: the hash of a file tells whether two models are one."""
    version = finished.model_registry.versions("als")[0]
    with finished.model_registry.artifact(version, CANDIDATE) as folder:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["fit"].keys() == {"window_days", "rows_sha256", "made_with"}
    assert manifest["fit"]["made_with"]["numpy"] == np.__version__
    assert str(finished.settings.home) not in json.dumps(manifest)
