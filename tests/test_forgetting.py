"""Which registered versions are said to be lost when a person is forgotten: those whose rows are gone, no others."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys_assets.columns import TRAINING_SET
from recsys_assets.forgetting import NOT_REPRODUCIBLE, forget
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

SLOT, TODAY = date(2026, 3, 2), date(2026, 3, 3)


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """A training set of two users."""
    lake = DeltaLake(root=str(tmp_path / "lake"))
    store(lake, "ann", "bob")
    return lake


def store(lake: DeltaLake, *users: str) -> None:
    rows = [(SLOT, "train", user, "a", SLOT, 1.0, 0) for user in users]
    lake.replace(TRAINING_SET, pl.DataFrame(rows, schema=TRAINING_SET.schema, orient="row"), (SLOT, SLOT))


@pytest.fixture
def forgotten(
    lake: DeltaLake, model_registry: ModelRegistry, family: str, tmp_path: Path, valkey: Any
) -> Callable[[str], list[int]]:
    """Forgets a user; returns the versions that are said to be lost."""
    (tmp_path / "empty").mkdir()
    tags = {"training_set_version": str(lake.version(TRAINING_SET.name))}
    model_registry.register(family, SLOT, tmp_path / "empty", tags=tags, params={})

    def run(user: str) -> list[int]:
        done = forget(user, TODAY, lake, model_registry, [family], valkey)
        marked = [one.version for one in model_registry.versions(family) if NOT_REPRODUCIBLE in one.tags]
        assert marked == [one.version for one in done.versions]
        return marked

    return run


def test_a_version_that_was_trained_on_the_person_is_lost(forgotten: Callable[[str], list[int]]) -> None:
    assert forgotten("ann") == [1]


def test_a_version_that_was_not_stays_as_it_is(forgotten: Callable[[str], list[int]]) -> None:
    assert forgotten("eve") == []


def test_rows_that_lie_in_other_files_by_now_are_not_lost(
    lake: DeltaLake, forgotten: Callable[[str], list[int]]
) -> None:
    store(lake, "bob", "ann")
    assert forgotten("eve") == []


def test_rows_that_were_replaced_by_others_are_lost_with_their_files(
    lake: DeltaLake, forgotten: Callable[[str], list[int]]
) -> None:
    store(lake, "bob")
    assert forgotten("eve") == [1]
