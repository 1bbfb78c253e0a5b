"""What `recsys.yaml` may say about composition: a rule that could do nothing is refused."""

from typing import Any

import pytest

from recsys_assets.composing import Composition, ListChecks
from recsys_assets.platform import Platform

RULES: dict[str, Any] = {"max_per_creator": {"items": 2}, "new_release_slots": {}, "series_first": {}}
NEEDED = {"max_per_creator": "creator", "new_release_slots": "released_on", "series_first": "series"}


def with_items(platform: Platform, *columns: str, **more: Any) -> dict[str, Any]:
    """The tiny shop with these columns of the catalogue mapped."""
    content = platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["sources"]["items"]["columns"] = {name: name for name in ("item_id", *columns)}
    return content | more


def composed(rule: str) -> dict[str, Any]:
    return {"composition": {rule: RULES[rule]}}


def test_nothing_is_switched_on_by_itself(tiny_platform: Platform) -> None:
    assert tiny_platform.recommendations.composition == Composition()
    assert Composition().needed_columns == {}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_needs_the_columns_that_it_looks_at(tiny_platform: Platform, rule: str) -> None:
    words = f"recommendations.composition.{rule}: map items.{NEEDED[rule]}, or leave the rule out"
    with pytest.raises(ValueError, match=words):
        Platform.model_validate(with_items(tiny_platform, recommendations=composed(rule)))
    every = with_items(
        tiny_platform, "creator", "released_on", "series", "series_position", recommendations=composed(rule)
    )
    assert Platform.model_validate(every).recommendations.composition.needed_columns.keys() == {rule}


def test_without_a_catalogue_no_rule_can_do_anything(tiny_platform: Platform) -> None:
    content = with_items(tiny_platform, recommendations=composed("max_per_creator"))
    del content["sources"]["items"]
    with pytest.raises(ValueError, match=r"map items\.creator"):
        Platform.model_validate(content)


def test_series_first_needs_to_know_what_users_own(tiny_platform: Platform) -> None:
    content = with_items(
        tiny_platform,
        "series",
        "series_position",
        recommendations=composed("series_first"),
        rules={"owned_is_excluded": False},
    )
    with pytest.raises(ValueError, match=r"series_first: needs rules\.owned_is_excluded"):
        Platform.model_validate(content)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_per_creator": {}},
        {"max_per_creator": {"items": 0}},
        {"max_per_creator": {"items": 1, "within": 0}},
        {"new_release_slots": {"every": 0}},
        {"new_release_slots": {"within_days": 0}},
        {"series_first": {"items": 0}},
        {"series_frist": {}},
    ],
)
def test_numbers_must_make_sense_and_keys_must_be_known(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Composition.model_validate(wrong)


@pytest.mark.parametrize("band", [(0.9, 0.1), (-0.1, 1), (0, 1.1)])
def test_a_band_goes_from_low_to_high_within_0_and_1(band: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="overlap_band"):
        ListChecks.model_validate({"overlap_band": band})
