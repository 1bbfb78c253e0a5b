"""What each operator of a condition means."""

from typing import Any

import polars as pl
import pytest

from recsys_assets.ingestion.conditions import all_hold, holds
from recsys_assets.mapping import Condition

TEXTS = pl.DataFrame({"field:x": ["5", "-3", "C1", "inf", "nan", None]})


@pytest.mark.parametrize(
    ("operator", "fitting"),
    [
        ({"is_missing": True}, [None]),
        ({"is_missing": False}, ["5", "-3", "C1", "inf", "nan"]),
        ({"equals": "5"}, ["5"]),
        ({"equals": ["5", "C1"]}, ["5", "C1"]),
        ({"matches": "[0-9]$"}, ["5", "-3", "C1"]),
        ({"not_matches": "[0-9]"}, ["inf", "nan"]),
        ({"below": 5}, ["-3"]),
        ({"at_most": 5}, ["5", "-3"]),
        ({"above": -3}, ["5"]),
        ({"at_least": -3}, ["5", "-3"]),
    ],
)
def test_each_operator_holds_for_its_values_and_a_missing_one_is_only_missing(
    operator: dict[str, Any], fitting: list[str | None]
) -> None:
    condition = Condition(column="x", **operator)
    assert TEXTS.filter(holds(condition))["field:x"].to_list() == fitting
    assert TEXTS.select(holds(condition)).to_series().null_count() == 0


def test_no_conditions_hold_for_every_row() -> None:
    assert TEXTS.filter(all_hold([])).height == TEXTS.height
