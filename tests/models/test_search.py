"""What `recsys tune` may try is declared beside a hyper-parameter, and always includes what is configured."""

from typing import Annotated, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import Field

from recsys_assets.models.catalogue import available_families
from recsys_assets.models.family import HalfLife, Parameters
from recsys_assets.models.search import WINDOWS, Among, Between, including, searched, searched_windows

NUMBERS = st.floats(0.0, 1e6)


class Sample(Parameters):
    half_life_days: Annotated[HalfLife, Among((1.0, 2.0))] = 1.0
    depth: Annotated[int, Field(ge=1), Between(1, 8)] = 2
    fixed: Annotated[int, Field(ge=1)] = 5


def test_a_field_is_tried_as_its_annotation_says_and_one_that_says_nothing_stays() -> None:
    assert searched(Sample) == {"half_life_days": Among((1.0, 2.0)), "depth": Between(1, 8)}


@pytest.mark.parametrize("name", available_families())
def test_everything_that_a_family_would_try_is_allowed_by_its_own_class(name: str) -> None:
    family = available_families()[name]
    defaults = family.parameters()
    for key, search in searched(family.parameters).items():
        for value in search.values if isinstance(search, Among) else (search.low, search.high):
            tried = family.parameters.model_validate({key: value})
            assert getattr(tried, key) == value
        assert search.including(getattr(defaults, key)) == search, "the default lies in the range"


@given(st.tuples(NUMBERS, NUMBERS).map(sorted), NUMBERS, st.booleans())
def test_a_range_is_widened_to_what_is_configured_and_no_further(ends: list[float], value: float, is_log: bool) -> None:
    low, high = ends
    assume(low > 0 or not is_log)
    wider = Between(low, high, is_log).including(value)
    assert wider.low <= value <= wider.high
    assert {wider.low, wider.high} <= {low, high, value}
    assert wider.including(low) == wider.including(high) == wider
    assert wider.is_log == (is_log and value > 0), "there is no ratio to nothing"


@pytest.mark.parametrize("wrong", [(2, 1, False), (0, 1, True), (-1.0, 1.0, True)])
def test_what_is_no_range_is_refused_where_it_is_declared(wrong: tuple[float, float, bool]) -> None:
    with pytest.raises(ValueError, match="is no range"):
        Between(*wrong)


def test_a_configured_value_that_nobody_would_try_is_tried_all_the_same() -> None:
    space: dict[str, Any] = {"half_life_days": Among((None, 7.0)), "depth": Between(1, 8)}
    assert including(space, {"half_life_days": 45.0, "depth": 3}) == {
        "half_life_days": Among((None, 7.0, 45.0)),
        "depth": Between(1, 8),
    }


@pytest.mark.parametrize(
    ("search", "tried", "written"),
    [
        (Between(0.1, 10.0), 0.123456, 0.123),
        (Between(0.001, 1.0, is_log=True), 0.00123456, 0.00123),
        (Between(1, 8), 3, 3),
        (Among((None, 7.0)), None, None),
    ],
)
def test_a_tried_value_is_one_that_a_person_would_write(search: Any, tried: Any, written: Any) -> None:
    assert search.rounded(tried) == written


@pytest.mark.parametrize(
    ("days", "configured", "windows"),
    [
        (40, 30, (7, 14, 30, 60)),
        (40, 365, (7, 14, 30, 365)),
        (40, 21, (7, 14, 30, 60, 21)),
        (1_000, 60, (*WINDOWS, 1_000)),
        (5, 365, (365,)),
    ],
)
def test_windows_that_take_in_everything_are_tried_once(days: int, configured: int, windows: tuple[int, ...]) -> None:
    assert searched_windows(days, configured).values == windows
