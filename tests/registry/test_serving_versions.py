"""Which version serves a day: the one in use, unless it has seen later days."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_assets.models import popularity
from recsys_assets.models.artifact import Artifact, ArtifactError, Provenance, save
from recsys_assets.models.versions import newest_of_slot
from recsys_assets.registry.serving_versions import TRAINED_THROUGH, load_release, version_for_day
from resources.model_registry import ModelRegistry, ModelVersion, RegistryError, Status

DAY = date(2026, 3, 1)
Register = Callable[..., ModelVersion]


@pytest.fixture
def register(model_registry: ModelRegistry, family: str, tmp_path: Path) -> Register:
    """Registers a version whose release has seen the days up to `through` days after DAY."""

    def registered(through: int | None, status: Status = "Approved", *, in_use: bool = False) -> ModelVersion:
        slot = DAY + timedelta(days=1 + (through or 0))
        version = model_registry.register(family, slot, tmp_path, tags={}, params={})
        if through is not None:
            model_registry.set_tags(version, {TRAINED_THROUGH: str(DAY + timedelta(days=through))})
        model_registry.set_status(version, status, "for the test")
        if in_use:
            model_registry.point_approved_at(version)
        return model_registry.version(family, version.version)

    return registered


def serving(registry: ModelRegistry, family: str, day: int = 0) -> int | None:
    version = version_for_day(registry, family, DAY + timedelta(days=day))
    return None if version is None else version.version


def test_the_alias_decides_and_not_the_newest_status(
    model_registry: ModelRegistry, family: str, register: Register
) -> None:
    older = register(-9, in_use=True)
    register(-2)
    assert serving(model_registry, family) == older.version


def test_a_model_serves_the_last_day_that_it_has_seen_and_every_later_one(
    model_registry: ModelRegistry, family: str, register: Register
) -> None:
    version = register(0, in_use=True)
    assert [serving(model_registry, family, day) for day in (0, 1, 300)] == [version.version] * 3


def test_a_day_before_is_served_by_the_newest_approved_version_that_does_not_know_it_yet(
    model_registry: ModelRegistry, family: str, register: Register
) -> None:
    register(-9)
    expected = register(-2)
    register(-5)  # a backfill, registered later
    register(1)
    register(3, in_use=True)
    assert serving(model_registry, family) == expected.version


@pytest.mark.parametrize("status", ["Rejected", "PendingManualApproval"])
def test_only_versions_that_were_approved_step_in(
    model_registry: ModelRegistry, family: str, register: Register, status: Status
) -> None:
    register(-2, status)
    register(3, in_use=True)
    assert serving(model_registry, family) is None


def test_without_an_alias_nothing_serves_whatever_was_approved_before(
    model_registry: ModelRegistry, family: str, register: Register
) -> None:
    register(-2)
    assert serving(model_registry, family) is None


def test_a_version_that_does_not_say_what_it_has_seen_never_serves(
    model_registry: ModelRegistry, family: str, register: Register
) -> None:
    register(None, in_use=True)
    assert serving(model_registry, family, 300) is None


def test_no_day_is_served_by_a_version_that_has_seen_a_later_one(
    model_registry: ModelRegistry, family: str, register: Register
) -> None:
    for through in (-7, -4, -1, 2, 5):
        register(through, in_use=through == 2)
    for day in range(-9, 9):
        version = version_for_day(model_registry, family, DAY + timedelta(days=day))
        assert version is None or date.fromisoformat(version.tags[TRAINED_THROUGH]) <= DAY + timedelta(days=day)
        assert (version is None) == (day < -7)


def test_what_serves_is_the_release_and_never_the_candidate(
    model_registry: ModelRegistry, register: Register, tmp_path: Path
) -> None:
    version = register(-1, in_use=True)
    release = tmp_path / "release"
    release.mkdir()
    model = popularity.PopularityModel(
        pl.Series("item_id", ["a"]), popularity.PopularityParameters(), np.array([1], dtype=np.float32)
    )
    provenance = Provenance(version.slot, DAY, 0, 1, "spec", "1.0")
    with pytest.raises(RegistryError, match="has no release artifact"):
        load_release(model_registry, popularity.FAMILY, version)
    save(Artifact(model, provenance), popularity.FAMILY, release)
    model_registry.add_artifact(version, release, "release")
    assert load_release(model_registry, popularity.FAMILY, version).provenance == provenance


def test_a_damaged_release_is_refused(model_registry: ModelRegistry, register: Register, tmp_path: Path) -> None:
    version = register(-1, in_use=True)
    (tmp_path / "manifest.json").write_text('{"family": "als"}', encoding="utf-8")
    (tmp_path / "arrays.npz").write_bytes(b"")
    model_registry.add_artifact(version, tmp_path, "release")
    with pytest.raises(ArtifactError, match="another family"):
        load_release(model_registry, popularity.FAMILY, version)


def test_the_version_of_a_slot_is_the_one_trained_last(
    model_registry: ModelRegistry, family: str, register: Register
) -> None:
    first, again = register(0), register(0)
    register(2)
    assert newest_of_slot(model_registry, family, first.slot) == again


def test_a_slot_that_was_never_trained_is_named_with_the_remedy(model_registry: ModelRegistry, family: str) -> None:
    with pytest.raises(RegistryError, match=f"no version of slot {DAY}; materialize models/{family} for it first"):
        newest_of_slot(model_registry, family, DAY)
