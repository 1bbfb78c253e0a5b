"""A version is made again from what was recorded with it: the same bytes, or what differs is named."""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
from deltalake import write_deltalake

from recsys_assets.columns import TRAINING_SET
from recsys_assets.models.artifact import Artifact, ArtifactError, save
from recsys_assets.models.assets import build_assets
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.training import fit_on
from recsys_assets.models.versions import CANDIDATE, RELEASE, load_version
from recsys_assets.platform import Platform
from recsys_assets.registry.reproduction import Reproduction, reproduce
from recsys_assets.registry.serving_versions import TRAINED_THROUGH
from recsys_assets.slot_window import slot_window
from resources.engine import PolarsEngine, SparkEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion

SLOT = date(2026, 2, 13)
FIRST = date(2026, 1, 1)
NAMES = ("als", "ease")
"""One family that draws numbers, and one that does not."""


@dataclass(frozen=True)
class Trained:
    """A lake of one's own, and versions that are shared and left as they are."""

    lake: DeltaLake
    registry: ModelRegistry
    families: dict[str, ConfiguredFamily]
    versions: dict[str, ModelVersion]

    def reproduce(self, name: str = "als", version: ModelVersion | None = None) -> dict[str, Reproduction]:
        version = version or self.versions[name]
        made = reproduce(self.lake, self.registry, self.families[name].family, version)
        return {one.name: one for one in made}


def rows_of_slot(seed: int = 1) -> pl.DataFrame:
    """Every split of a slot: 60 users, 40 items, weights that do not add up exactly."""
    rng = np.random.default_rng(seed)
    count = 3_000
    rows = pl.DataFrame(
        {
            "ds": [SLOT] * count,
            "split": rng.choice(["train", "holdout", "release"], count),
            "user_id": [f"user {user}" for user in rng.integers(60, size=count)],
            "item_id": [f"item {item}" for item in rng.integers(40, size=count)],
            "day": [FIRST + timedelta(days=int(day)) for day in rng.integers(36, size=count)],
            "weight": rng.random(count) + 0.1,
            "item_index": [0] * count,
        },
        schema=TRAINING_SET.schema,
    )
    return rows.unique(["split", "user_id", "item_id", "day"], maintain_order=True)


@pytest.fixture(scope="module")
def platform(tiny_platform: Platform) -> Platform:
    content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["families"] |= {name: {"window_days": 25} for name in NAMES}
    content["families"]["als"]["parameters"] = {"factors": 8, "iterations": 3}
    content["training"]["seed"] = 11
    return Platform.model_validate(content)


@pytest.fixture(scope="module")
def prepared(platform: Platform, model_registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The candidates as their assets made them, and releases beside them."""
    lake = DeltaLake(root=str(tmp_path_factory.mktemp("lake")))
    lake.replace(TRAINING_SET, rows_of_slot().head(0), (SLOT, SLOT))
    for part in rows_of_slot().iter_slices(700):  # files enough to compact
        write_deltalake(lake.uri(TRAINING_SET.name), part, mode="append")
    families = configured_families(platform)
    dg.materialize(
        build_assets(platform),
        selection=[dg.AssetKey(["models", name]) for name in NAMES],
        partition_key=str(SLOT),
        resources={"lake": lake, "engine": PolarsEngine(), "model_registry": model_registry},
    )
    versions = {name: model_registry.versions(name)[0] for name in NAMES}
    for name, version in versions.items():
        released = fit_on(platform, families[name], lake, PolarsEngine(), slot_window(platform, SLOT), "release")
        keep(model_registry, families[name], version, released, RELEASE)
        model_registry.set_tags(version, {TRAINED_THROUGH: str(released.provenance.trained_through)})
        versions[name] = model_registry.version(name, version.version)
    return Trained(lake, model_registry, families, versions)


@pytest.fixture
def trained(prepared: Trained, tmp_path: Path) -> Trained:
    shutil.copytree(prepared.lake.root, tmp_path / "lake")
    return replace(prepared, lake=DeltaLake(root=str(tmp_path / "lake")))


def keep(
    registry: ModelRegistry, family: ConfiguredFamily, version: ModelVersion, artifact: Artifact, name: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save(artifact, family.family, Path(folder))
        registry.add_artifact(version, Path(folder), name)


def register_changed(trained: Trained, change: Callable[[Artifact], Artifact], name: str = "als") -> ModelVersion:
    """A version whose candidate is the one of `trained`, changed, and that has no release."""
    family = trained.families[name]
    artifact = change(load_version(trained.registry, family.family, trained.versions[name], CANDIDATE))
    with tempfile.TemporaryDirectory() as folder:
        save(artifact, family.family, Path(folder))
        return trained.registry.register(name, SLOT, Path(folder), tags={}, params={})


def with_fit(artifact: Artifact, **changes: Any) -> Artifact:
    fit = artifact.provenance.fit
    assert fit is not None
    return replace(artifact, provenance=replace(artifact.provenance, fit=replace(fit, **changes)))


def made_with(artifact: Artifact) -> dict[str, str]:
    assert artifact.provenance.fit is not None
    return dict(artifact.provenance.fit.made_with)


def other_arrays(artifact: Artifact) -> Artifact:
    model: Any = artifact.model
    return replace(artifact, model=replace(model, item_factors=model.item_factors * np.float32(1.001)))


def files_in(folder: str | Path) -> dict[str, str]:
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.parametrize("name", NAMES)
def test_candidate_and_release_come_out_as_they_were(trained: Trained, name: str) -> None:
    made = trained.reproduce(name)
    assert list(made) == [CANDIDATE, RELEASE]
    for one in made.values():
        assert one.is_identical
        assert one.rebuilt == one.recorded
        assert one.differing == ()
        assert one.rows.startswith("Delta version ")
    assert made[CANDIDATE].recorded != made[RELEASE].recorded


def test_compaction_and_vacuum_take_nothing_away(trained: Trained) -> None:
    table = trained.lake.table(TRAINING_SET.name)
    assert table is not None
    assert len(table.file_uris()) == 4 + 1
    table.optimize.compact()
    table.optimize.z_order(["item_id"])  # the same rows in another order
    trained.lake.vacuum(TRAINING_SET.name)
    for one in trained.reproduce().values():
        assert one.is_identical
        assert one.rows == f"the rows of slot {SLOT} that features/training_set holds today"


def test_rows_of_a_slot_that_was_computed_again_are_read_as_they_were(trained: Trained) -> None:
    trained.lake.replace(TRAINING_SET, rows_of_slot(seed=2), (SLOT, SLOT))
    assert all(one.is_identical for one in trained.reproduce().values())


def test_rows_of_a_slot_that_was_computed_again_the_same_outlive_their_old_files(trained: Trained) -> None:
    trained.lake.replace(TRAINING_SET, rows_of_slot().reverse(), (SLOT, SLOT))
    trained.lake.vacuum(TRAINING_SET.name)
    assert all(one.is_identical for one in trained.reproduce().values())


@pytest.mark.parametrize(
    ("rows", "today"),
    [
        (rows_of_slot(seed=2), r"holds today: [\d,]+ other rows"),
        (rows_of_slot().filter(pl.col("user_id") != "user 7"), r"holds today: [\d,]+ other rows"),
        (rows_of_slot().with_columns(pl.col("weight") + 1e-12), r"holds today: [\d,]+ other rows"),
        (rows_of_slot().head(0), "holds today: none"),
    ],
    ids=["other rows", "one user fewer", "weights that differ in the twelfth digit", "no rows"],
)
def test_rows_that_are_gone_are_said_to_be_gone(trained: Trained, rows: pl.DataFrame, today: str) -> None:
    trained.lake.replace(TRAINING_SET, rows, (SLOT, SLOT))
    trained.lake.vacuum(TRAINING_SET.name)
    for one in trained.reproduce().values():
        assert not one.is_identical
        assert one.rebuilt is None
        assert one.rows.startswith("the training rows that it was fitted on are gone (Delta version ")
        assert "features/training_set: can be read no more; " in one.rows
        assert re.search(today, one.rows)


def test_rows_that_are_not_those_of_the_fit_are_not_fitted(trained: Trained) -> None:
    version = register_changed(trained, lambda one: with_fit(one, rows_sha256="0" * 64))
    made = trained.reproduce("als", version)[CANDIDATE]
    assert made.rebuilt is None
    assert made.rows.count("other rows") == 2


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_truncated_data_file_is_no_crash(trained: Trained, kept: float) -> None:
    for path in Path(trained.lake.uri(TRAINING_SET.name)).rglob("*.parquet"):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * kept)])
    assert trained.reproduce()[CANDIDATE].rows.count("can be read no more") == 2


def test_on_s3_too_rows_that_were_vacuumed_are_known_to_be_gone(s3_bucket: Any) -> None:
    lake, slot = DeltaLake(root=f"s3://{s3_bucket.name}/lake"), (SLOT, SLOT)
    for seed in (1, 2):
        lake.replace(TRAINING_SET, rows_of_slot(seed).head(5), slot)
    first = lake.rows_if_kept(TRAINING_SET, slot, 0)
    assert first is not None
    assert first.sort("user_id").equals(rows_of_slot(1).head(5).sort("user_id"))
    lake.vacuum(TRAINING_SET.name)
    assert lake.rows_if_kept(TRAINING_SET, slot, 0) is None
    assert lake.rows_if_kept(TRAINING_SET, slot, 99) is None
    assert lake.rows_if_kept(TRAINING_SET, slot) is not None


def test_what_is_recorded_counts_and_not_what_is_configured(trained: Trained, platform: Platform) -> None:
    family = trained.families["als"]
    changed = replace(
        family,
        settings=family.settings.model_copy(update={"window_days": 10}),
        parameters=family.parameters.model_copy(update={"factors": 4}),
    )
    seeded = platform.model_copy(update={"training": platform.training.model_copy(update={"seed": 12})})
    fitted = fit_on(seeded, changed, trained.lake, PolarsEngine(), slot_window(platform, SLOT), "train")
    version = register_changed(trained, lambda _: fitted)
    assert trained.reproduce("als", version)[CANDIDATE].is_identical
    assert trained.reproduce()[CANDIDATE].is_identical


def test_a_version_without_a_release_has_its_candidate_made_again(trained: Trained) -> None:
    assert list(trained.reproduce("als", register_changed(trained, lambda same: same))) == [CANDIDATE]


def test_another_library_that_made_no_difference_is_named_all_the_same(trained: Trained) -> None:
    version = register_changed(trained, lambda one: with_fit(one, made_with=made_with(one) | {"numpy": "1.26.0"}))
    made = trained.reproduce("als", version)[CANDIDATE]
    assert made.is_identical
    assert made.differing == (f"numpy: 1.26.0, now {np.__version__}",)


def test_where_the_bytes_differ_library_machine_and_code_that_differ_are_named(trained: Trained) -> None:
    elsewhere = {"numpy": "1.26.0", "machine": "Darwin arm64, 10 threads", "code of the family": "0123456789abcdef"}

    def change(artifact: Artifact) -> Artifact:
        moved = with_fit(other_arrays(artifact), made_with=made_with(artifact) | elsewhere)
        return replace(moved, provenance=replace(moved.provenance, code_version="0.0.1"))

    made = trained.reproduce("als", register_changed(trained, change))[CANDIDATE]
    assert not made.is_identical
    assert made.rebuilt not in {None, made.recorded}
    assert [one.split(": ")[0] for one in made.differing] == ["code of the family", "machine", "numpy", "recsys-assets"]


def test_where_the_bytes_differ_and_nothing_else_nothing_is_named(trained: Trained) -> None:
    made = trained.reproduce("als", register_changed(trained, other_arrays))[CANDIDATE]
    assert (made.is_identical, made.differing) == (False, ())


def test_a_version_of_an_earlier_release_is_refused_with_the_remedy(trained: Trained) -> None:
    version = register_changed(trained, lambda one: replace(one, provenance=replace(one.provenance, fit=None)))
    with pytest.raises(ArtifactError, match=r"earlier release .* materialize models/als for the slot again"):
        trained.reproduce("als", version)


def test_a_damaged_artifact_is_refused_by_version_name_and_remedy(trained: Trained, tmp_path: Path) -> None:
    version = register_changed(trained, lambda same: same)
    with trained.registry.artifact(version, CANDIDATE) as folder:
        content = bytearray((folder / "arrays.npz").read_bytes())
        content[len(content) // 2] ^= 1
        (tmp_path / "arrays.npz").write_bytes(content)
        shutil.copy(folder / "manifest.json", tmp_path / "manifest.json")
    trained.registry.add_artifact(version, tmp_path, CANDIDATE)
    with pytest.raises(ArtifactError, match=rf"^als version {version.version}, candidate: .* Train the slot again"):
        trained.reproduce("als", version)


def test_what_was_fitted_on_spark_is_fitted_there_again_from_the_recorded_rows(
    trained: Trained, platform: Platform, spark_engine: SparkEngine
) -> None:
    window = slot_window(platform, SLOT)
    version = register_changed(
        trained, lambda _: fit_on(platform, trained.families["als"], trained.lake, spark_engine, window, "train")
    )
    again = trained.reproduce("als", version)[CANDIDATE]
    assert again.rows.startswith("Delta version")
    assert again.rebuilt is not None
    assert again.differing == ()


def test_nothing_is_stored(trained: Trained) -> None:
    before = files_in(trained.lake.root), files_in(trained.registry.artifact_root)
    trained.reproduce()
    assert (files_in(trained.lake.root), files_in(trained.registry.artifact_root)) == before
