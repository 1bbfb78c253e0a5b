"""Which weights blend what is served: decided from the stored ones, the configured ones, and what a slot measured."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.composing import Blend
from recsys_assets.platform import Platform
from recsys_assets.validation.comparison import Change
from recsys_assets.validation.gate import Verdict
from recsys_assets.validation.stored_weights import (
    JudgedBlend,
    blend_recipe,
    serving_rule,
    serving_weights,
    store_weights,
    stored_weights,
)
from recsys_assets.validation.weights import (
    Weights,
    are_alike,
    configured_weights,
    judge_rule,
    judge_weights,
    weights_at,
    why_not_in_force,
)
from resources.lake import DeltaLake

FIRST = date(2026, 3, 2)
ALS, BOTH, EASE = {"als": 1.0}, {"als": 1.0, "ease": 0.5}, {"ease": 1.0}
WORSE = Change(-0.2, -0.25, -0.1, 0.04)
ALIKE = Change(-0.02, -0.07, 0.03, 0.025)
SETTINGS = Blend(max_ndcg_drop=0.05, min_holdout_users=50)

weights_of_three = st.dictionaries(st.sampled_from(["als", "ease", "sequential"]), st.integers(1, 9).map(float))


def slot(number: int) -> date:
    return FIRST + timedelta(days=2 * number)


@pytest.fixture(scope="module")
def platform_with(tiny_platform: Platform) -> Any:
    """The tiny shop with these families and weights."""

    def configured(weights: Mapping[str, float]) -> Platform:
        content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
        content["families"] = {"popularity": {"weight": 0}} | {name: {"weight": one} for name, one in weights.items()}
        return Platform.model_validate(content)

    return configured


def judged(
    asked: Weights, before: Weights | None, change: Change | None = None, *, users: int = 500, **more: Any
) -> Verdict:
    settings = Blend(**{**SETTINGS.model_dump(), **more.pop("settings", {})})
    return judge_weights(asked, before, more.pop("taking_part", {"als", "ease"}), change, users, settings)


def test_a_family_without_weight_is_not_among_the_configured_weights(platform_with: Any) -> None:
    assert configured_weights(platform_with({"als": 2.0, "ease": 0})) == {"als": 2.0}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"als": 1.0}, {"als": 7.0}, True),
        ({"als": 1.0, "ease": 2.0}, {"ease": 0.2, "als": 0.1}, True),
        ({"als": 1.0, "ease": 2.0}, {"als": 1.0, "ease": 2.1}, False),
        ({"als": 1.0}, {"als": 1.0, "ease": 1.0}, False),
        ({}, {"als": 1.0}, False),
        ({}, {}, True),
    ],
)
def test_weights_blend_alike_when_their_ratios_are_the_same(one: Weights, other: Weights, expected: bool) -> None:
    assert are_alike(one, other) is are_alike(other, one) is expected


class TestInForce:
    def test_before_the_first_slot_nothing_is_in_force(self, platform_with: Any) -> None:
        assert weights_at({}, slot(0), platform_with(ALS)) is None
        assert weights_at({slot(1): ALS}, slot(0), platform_with(ALS)) is None

    def test_the_newest_slot_that_is_not_later_decides(self, platform_with: Any) -> None:
        stored = {slot(2): BOTH, slot(0): ALS}
        platform = platform_with(BOTH)
        assert [weights_at(stored, slot(number), platform) for number in (0, 1, 2, 9)] == [ALS, ALS, BOTH, BOTH]

    def test_a_family_that_is_not_configured_any_more_drops_out(self, platform_with: Any) -> None:
        assert weights_at({slot(0): BOTH}, slot(0), platform_with(ALS)) == ALS

    def test_when_nothing_is_left_of_them_there_are_none(self, platform_with: Any) -> None:
        assert weights_at({slot(0): EASE}, slot(0), platform_with(ALS)) is None

    def test_no_weights_at_all_are_a_choice_and_stay(self, platform_with: Any) -> None:
        assert weights_at({slot(0): {}}, slot(0), platform_with(ALS)) == {}


class TestVerdict:
    def test_the_first_weights_pass(self) -> None:
        verdict = judged(ALS, None, users=0)
        assert (verdict.passed, verdict.actual, verdict.threshold) == (True, None, -0.05)

    def test_weights_in_force_pass_without_a_comparison_and_without_users(self) -> None:
        assert judged({"als": 3.0}, ALS, users=0).passed

    def test_weights_that_clearly_lose_more_than_is_allowed_are_refused(self) -> None:
        verdict = judged(BOTH, ALS, WORSE)
        assert (verdict.passed, verdict.actual) == (False, -0.2)
        assert verdict.sentence == (
            "the weights als 1, ease 0.5 are not put in force; als 1 stays: NDCG at 10 changes by -20.000% "
            "(95 % interval -25.000% to -10.000%), clearly more than the allowed drop of 0.05"
        )
        assert verdict.smallest_detectable_drop == pytest.approx(WORSE.smallest_detectable_drop(0.05))

    def test_weights_that_do_not_clearly_lose_so_much_are_put_in_force(self) -> None:
        verdict = judged(BOTH, ALS, ALIKE)
        assert verdict.passed
        assert "als 1, ease 0.5 are in force now" in verdict.sentence

    def test_too_few_users_are_no_verdict(self) -> None:
        verdict = judged(BOTH, ALS, ALIKE, users=49)
        assert not verdict.passed
        assert "49 users of the holdout are too few to judge by, 50 are asked" in verdict.sentence

    def test_a_blend_that_finds_nothing_can_only_be_bettered(self) -> None:
        assert judged(BOTH, ALS, None).passed

    def test_a_family_that_is_to_count_for_more_must_have_something_to_show(self) -> None:
        verdict = judged(BOTH, ALS, ALIKE, taking_part={"als", "popularity"})
        assert not verdict.passed
        assert "ease is to count for more and has no version that would serve" in verdict.sentence

    def test_a_family_that_is_to_count_for_less_need_not_be_there(self) -> None:
        assert judged({"als": 2.0, "ease": 0.5}, BOTH, ALIKE, taking_part={"als"}).passed
        assert judged(ALS, BOTH, ALIKE, taking_part={"als"}).passed

    def test_an_owner_who_allows_any_drop_gets_any_weights(self) -> None:
        anything = {"max_ndcg_drop": 1.0}
        assert judged(BOTH, ALS, WORSE, users=3, taking_part={"als"}, settings=anything).passed

    @given(asked=weights_of_three, before=st.none() | weights_of_three, users=st.integers(0, 99))
    def test_a_refusal_leaves_in_force_what_was_and_a_pass_puts_in_force_what_is_asked(
        self, asked: Weights, before: Weights | None, users: int
    ) -> None:
        verdict = judged(asked, before, ALIKE, users=users)
        after = JudgedBlend(asked, before, None, None, verdict).in_force
        assert after == (asked if verdict.passed else before)
        assert verdict.sentence


class TestRule:
    BETTER = Change(0.05, 0.01, 0.09, 0.02)

    def test_the_other_rule_is_chosen_once_it_is_clearly_better(self) -> None:
        best = Blend(min_holdout_users=50)
        assert judge_rule("reciprocal_ranks", self.BETTER, 50, best) == "z_scores"
        assert judge_rule("z_scores", self.BETTER, 50, best) == "reciprocal_ranks"

    @pytest.mark.parametrize(("change", "users"), [(ALIKE, 500), (WORSE, 500), (None, 500), (BETTER, 49)])
    def test_until_then_the_rule_in_force_stays(self, change: Change | None, users: int) -> None:
        assert judge_rule("z_scores", change, users, Blend(min_holdout_users=50)) == "z_scores"

    def test_an_owner_may_choose_one_whatever_is_measured(self) -> None:
        chosen = Blend(rule="reciprocal_ranks")
        assert judge_rule("z_scores", WORSE, 500, chosen) == "reciprocal_ranks"


class TestStored:
    @pytest.fixture
    def lake(self, tmp_path: Any) -> DeltaLake:
        return DeltaLake(root=str(tmp_path))

    def store(self, lake: DeltaLake, number: int, asked: Weights, before: Weights | None, *, passed: bool) -> None:
        verdict = Verdict("check", -0.1, -0.05, passed, "in words")
        store_weights(
            lake, slot(number), "recipe", JudgedBlend(asked, before, 0.3, None if before is None else 0.2, verdict)
        )

    def test_without_any_the_configured_ones_serve(self, lake: DeltaLake, platform_with: Any) -> None:
        assert serving_weights(lake, platform_with(BOTH), slot(0)) == BOTH

    def test_a_refusal_is_kept_and_changes_nothing(self, lake: DeltaLake, platform_with: Any) -> None:
        self.store(lake, 0, ALS, None, passed=True)
        self.store(lake, 1, BOTH, ALS, passed=False)
        assert stored_weights(lake) == {slot(0): ALS, slot(1): ALS}
        assert serving_weights(lake, platform_with(BOTH), slot(9)) == ALS

    def test_a_slot_serves_the_day_before_it_and_later_ones(self, lake: DeltaLake, platform_with: Any) -> None:
        self.store(lake, 0, ALS, None, passed=True)
        self.store(lake, 4, BOTH, ALS, passed=True)
        served = {days: serving_weights(lake, platform_with(BOTH), slot(4) - timedelta(days=days)) for days in (1, 2)}
        assert served == {1: BOTH, 2: ALS}
        assert serving_weights(lake, platform_with(BOTH), slot(0) - timedelta(days=30)) == ALS

    def test_a_backfilled_older_slot_puts_nothing_in_force_over_a_newer_one(
        self, lake: DeltaLake, platform_with: Any
    ) -> None:
        self.store(lake, 4, ALS, None, passed=True)
        self.store(lake, 2, BOTH, ALS, passed=True)
        assert serving_weights(lake, platform_with(BOTH), date.max) == ALS

    def test_the_same_slot_judged_again_replaces_what_it_said(self, lake: DeltaLake) -> None:
        self.store(lake, 0, ALS, None, passed=True)
        self.store(lake, 0, BOTH, ALS, passed=True)
        assert stored_weights(lake) == {slot(0): BOTH}

    def test_the_rule_of_a_slot_serves_as_its_weights_do_unless_one_is_configured(
        self, lake: DeltaLake, platform_with: Any
    ) -> None:
        best, verdict = platform_with(BOTH), Verdict("check", None, -0.05, True, "in words")
        assert serving_rule(lake, best, slot(9)) == "reciprocal_ranks"
        for number, rule in ((0, "reciprocal_ranks"), (4, "z_scores")):
            store_weights(lake, slot(number), "recipe", JudgedBlend(ALS, None, 0.3, None, verdict, rule=rule))
        assert serving_rule(lake, best, slot(4) - timedelta(days=2)) == "reciprocal_ranks"
        assert serving_rule(lake, best, slot(4) - timedelta(days=1)) == "z_scores"
        chosen = best.model_copy(update={"blend": Blend(rule="reciprocal_ranks")})
        assert serving_rule(lake, chosen, slot(9)) == "reciprocal_ranks"

    def test_no_weights_at_all_come_back_as_none_at_all(self, lake: DeltaLake, platform_with: Any) -> None:
        self.store(lake, 0, {}, None, passed=True)
        assert stored_weights(lake) == {slot(0): {}}
        assert serving_weights(lake, platform_with(ALS), slot(3)) == {}


def test_weights_are_judged_again_when_they_or_what_is_asked_of_them_have_changed(platform_with: Any) -> None:
    before = platform_with(BOTH)
    assert blend_recipe(platform_with({name: 3 * weight for name, weight in BOTH.items()})) == blend_recipe(before)
    others = [platform_with(ALS), before.model_copy(update={"blend": Blend(max_ndcg_drop=0.5)})]
    assert len({blend_recipe(one) for one in (before, *others)}) == 3


def test_whoever_waits_for_new_weights_is_told_what_to_do() -> None:
    sentence = why_not_in_force(BOTH, ALS)
    assert sentence.startswith("blended with als 1, not with als 1, ease 0.5 of recsys.yaml")
    assert "materialize validation/final of the newest slot" in sentence
