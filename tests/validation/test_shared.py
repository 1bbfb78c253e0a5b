"""What the assets of a slot share is computed once, and again as soon as anything has changed that it is made of."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from recsys_assets.features.store import FeatureStore
from recsys_assets.platform import Platform
from recsys_assets.slot_window import SlotWindow
from recsys_assets.validation.shared import MADE_OF, shared
from resources.engine import PolarsEngine
from resources.lake import DeltaLake

DAY = date(2026, 2, 2)
WINDOW = SlotWindow(date(2026, 2, 9), first=date(2026, 1, 1), holdout=DAY, last=date(2026, 2, 8))


class Counter:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> int:
        self.times += 1
        return self.times


@pytest.fixture
def store(tiny_platform: Platform, tmp_path: Path) -> FeatureStore:
    return FeatureStore(tiny_platform, DeltaLake(root=str(tmp_path)), PolarsEngine())


def test_the_same_question_is_answered_once(store: FeatureStore) -> None:
    count = Counter()
    assert [shared(store, WINDOW, "it", count) for _ in range(3)] == [1, 1, 1]
    again = FeatureStore(store.platform.model_copy(deep=True), DeltaLake(root=store.lake.root), PolarsEngine())
    assert shared(again, replace(WINDOW), "it", count) == 1
    assert shared(store, WINDOW, "something else", count) == 2


@pytest.mark.parametrize("table", MADE_OF, ids=[table.name for table in MADE_OF])
def test_a_table_that_was_written_to_makes_it_due_again(store: FeatureStore, table: object) -> None:
    count = Counter()
    shared(store, WINDOW, "it", count)
    store.lake.replace(table, pl.DataFrame(schema=table.schema), (DAY, DAY))  # type: ignore[arg-type, attr-defined]
    assert shared(store, WINDOW, "it", count) == 2


def test_another_slot_lake_or_configuration_is_another_question(store: FeatureStore, tmp_path: Path) -> None:
    count = Counter()
    shared(store, WINDOW, "it", count)
    assert shared(store, replace(WINDOW, slot=date(2026, 2, 11)), "it", count) == 2
    assert shared(replace(store, lake=DeltaLake(root=str(tmp_path / "other"))), WINDOW, "it", count) == 3
    other = store.platform.model_copy(update={"hit_event": "view"})
    assert shared(replace(store, platform=other), WINDOW, "it", count) == 4
