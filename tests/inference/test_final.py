"""`recommendations/final` blends with what is in force, whatever is configured meanwhile, and says so; per arm."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from recsys_assets.columns import ITEMS
from recsys_assets.features.specification import lists_hash
from recsys_assets.inference import final_day
from recsys_assets.platform import Platform
from recsys_assets.validation.gate import Verdict
from recsys_assets.validation.stored_weights import JudgedBlend, serving_rule, serving_weights, store_weights
from recsys_assets.validation.weights import Weights
from resources.lake import DeltaLake

DAY, SLOT = date(2026, 3, 1), date(2026, 3, 2)
ALS, EASE = {"als": 1.0}, {"ease": 1.0}
ON_SALE = "abcefgxyz"
Configured = Callable[..., Platform]


@pytest.fixture
def known(lists: Any) -> Any:
    """A day on which each family has a list for one user, of items that are all on sale."""
    lists.know(DAY, ["ann"], ON_SALE)
    for family, items in {"popularity": "xyz", "als": "abc", "ease": "efg"}.items():
        lists.rank(family, DAY, ann=items)
    return lists


def in_force(lake: DeltaLake, weights: Weights, slot: date = SLOT, **more: Any) -> None:
    verdict = Verdict("", None, -0.05, True, "the first")
    store_weights(lake, slot, "recipe", JudgedBlend(weights, None, None, None, verdict, **more))


def served(lists: Any, platform: Platform) -> tuple[str, dict[str, Any]]:
    """The list of the user, and what the asset says of itself."""
    run = lists.run(platform.model_copy(update={"recommendations": lenient(platform)}), DAY)
    return "".join(lists.final(DAY)["item_ids"].item(0)), run.metadata


def lenient(platform: Platform) -> Any:
    """Short lists are no reason to stop here."""
    recommendations = platform.recommendations
    return recommendations.model_copy(
        update={"checks": recommendations.checks.model_copy(update={"min_full_share": 0.0})}
    )


def test_before_any_weights_are_in_force_the_configured_ones_blend(known: Any, configured: Configured) -> None:
    items, metadata = served(known, configured(EASE))
    assert items == "efgxyz"
    assert metadata["weights"] == "ease 1"
    assert "weights_waiting" not in metadata


def test_weights_that_are_not_in_force_do_not_blend_and_the_asset_says_how_to_get_them_in(
    known: Any, configured: Configured
) -> None:
    in_force(known.lake, ALS)
    items, metadata = served(known, configured(EASE))
    assert items == "abcxyz"
    assert metadata["weights"] == "als 1"
    assert "blended with als 1, not with ease 1" in metadata["weights_waiting"]
    assert "materialize validation/final" in metadata["weights_waiting"]


def test_once_they_are_in_force_they_blend(known: Any, configured: Configured) -> None:
    in_force(known.lake, {"ease": 3.0})
    items, metadata = served(known, configured(EASE))
    assert items == "efgxyz"
    assert "weights_waiting" not in metadata


def test_a_family_in_force_that_is_configured_no_more_drops_out(known: Any, tiny_platform: Platform) -> None:
    in_force(known.lake, ALS)
    assert served(known, tiny_platform)[0] == "xyz"


def test_weights_of_a_slot_that_has_seen_later_days_do_not_blend_an_older_day(
    known: Any, configured: Configured
) -> None:
    in_force(known.lake, EASE, date(2026, 2, 27))
    in_force(known.lake, ALS, date(2026, 3, 4))
    assert served(known, configured(ALS))[0] == "efgxyz"


def test_lists_are_due_again_when_another_blend_is_in_force_and_not_when_it_is_only_configured(
    known: Any, configured: Configured
) -> None:
    def state(platform: Platform) -> str:
        rule = serving_rule(known.lake, platform, date.max)
        return lists_hash(platform, serving_weights(known.lake, platform, date.max), rule)

    in_force(known.lake, ALS)
    before = state(configured(ALS))
    assert state(configured(EASE)) == before
    in_force(known.lake, EASE)
    weighed = state(configured(EASE))
    in_force(known.lake, EASE, rule="z_scores")
    assert len({before, weighed, state(configured(EASE))}) == 3


def test_the_rule_that_the_slot_has_put_in_force_blends_unless_another_one_is_configured(
    known: Any, configured: Configured
) -> None:
    both = {"als": 1.0, "ease": 1.0}
    known.rank("als", DAY, ann="abc")
    known.rank("ease", DAY, ann="cb")
    in_force(known.lake, both, rule="z_scores")
    asked = {rule: configured(both, blend={"rule": rule}) for rule in ("best", "z_scores", "reciprocal_ranks")}
    blended = {rule: served(known, platform)[0][:3] for rule, platform in asked.items()}
    assert blended == {"best": "acb", "z_scores": "acb", "reciprocal_ranks": "cba"}


def test_the_rules_of_composition_know_the_catalogue_of_the_day(known: Any, configured: Configured) -> None:
    rows = [
        {
            "ds": ds,
            "item_id": item,
            "creator": creator,
            "released_on": released,
            "series": series,
            "series_position": 1.0,
        }
        for ds, item, creator, released, series in (
            (date(2026, 1, 1), "a", "Ada", date(2020, 1, 1), None),
            (date(2026, 1, 1), "b", "Ada", date(2020, 1, 1), None),
            (date(2026, 1, 1), "y", "Bea", date(2026, 2, 27), None),
            (date(2026, 3, 2), "z", "Bea", date(2026, 2, 28), None),  # not known yet
        )
    ]
    catalogue = pl.DataFrame(rows, schema_overrides=ITEMS.schema)
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in ITEMS.schema.items() if name not in catalogue.columns]
    known.lake.replace(
        ITEMS, catalogue.with_columns(missing).select(ITEMS.schema.names()), (date(2026, 1, 1), date(2026, 3, 2))
    )
    composition = {"max_per_creator": {"items": 1, "within": 2}, "new_release_slots": {"every": 3, "within_days": 7}}
    platform = configured(ALS, recommendations={"composition": composition})
    items, metadata = served(known, platform)
    assert items == "acybxz"
    assert known.final(DAY)["rules"].item(0).to_list() == [
        "blend",
        "blend",
        "new_release",
        "blend",
        "fallback",
        "fallback",
    ]
    assert metadata["places_by_rule"] == {"blend": 3, "fallback": 2, "new_release": 1}


def test_lists_are_the_same_however_many_users_are_composed_at_once(
    known: Any, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = ["ann", "bob", "eve", "joe", "kim"]
    known.know(DAY, users, ON_SALE, eve="x")
    for family, items in {"popularity": "zy", "als": "abc", "ease": "efg"}.items():
        known.rank(family, DAY, **dict.fromkeys(users, items))
    served(known, configured(ALS))
    together = known.final(DAY)
    monkeypatch.setattr(final_day, "USERS_AT_ONCE", 2)
    served(known, configured(ALS))
    assert known.final(DAY).equals(together)
    assert together["user_id"].to_list() == users


class TestArms:
    @pytest.fixture
    def arms(self, known: Any, configured: Configured) -> Callable[..., dict[str, dict[str, Any]]]:
        """Runs an experiment with these arms on 40 users; returns, for each arm, one of its rows."""
        users = [f"user {number:02}" for number in range(40)]
        known.know(DAY, users, ON_SALE)
        for family, items in {"popularity": "xyz", "als": "abc", "ease": "efg"}.items():
            known.rank(family, DAY, **dict.fromkeys(users, items))

        def run(first_day: date = DAY + timedelta(days=1), **more: Any) -> dict[str, dict[str, Any]]:
            shares = {"control": {"share": 0.5}, "treated": {"share": 0.5, **more}}
            experiments = {"trial": {"first_day": str(first_day), "arms": shares}}
            served(known, configured(ALS, experiments=experiments))
            return {row["arm"]: row for row in known.final(DAY).iter_rows(named=True)}

        return run

    def test_each_user_gets_the_list_of_their_arm(self, arms: Any) -> None:
        rows = arms(weights={"ease": 2.0})
        assert {arm: "".join(row["item_ids"]) for arm, row in rows.items()} == {
            "control": "abcxyz",
            "treated": "efgxyz",
        }

    def test_an_arm_may_be_one_family(self, arms: Any) -> None:
        assert set(arms(family="popularity")["treated"]["sources"]) == {"popularity"}

    def test_an_experiment_counts_on_the_days_on_which_the_lists_are_served(self, arms: Any) -> None:
        assert set(arms(first_day=DAY + timedelta(days=2), family="ease")) == {"default"}

    def test_an_arm_may_name_another_approved_version_whose_lists_its_users_have(self, known: Any, arms: Any) -> None:
        before = arms(weights={"als": 1.0})
        treated = known.final(DAY).filter(arm="treated")["user_id"].to_list()
        every = known.final(DAY)["user_id"].to_list()
        lists = {user: "cba" if user in treated else "abc" for user in every}
        known.rank("als", DAY, dict.fromkeys(treated, 2), **lists)
        rows = arms(versions={"als": 2})
        assert {arm: "".join(row["item_ids"]) for arm, row in rows.items()} == {
            "control": "abcxyz",
            "treated": "cbaxyz",
        }
        assert {one["family"]: one["version"] for one in rows["treated"]["versions"]}["als"] == "2"
        assert {one["family"]: one["version"] for one in rows["control"]["versions"]}["als"] == "1"
        assert set(before) == set(rows)
