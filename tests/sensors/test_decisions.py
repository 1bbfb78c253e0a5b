"""What is started next, decided from plain values: no Dagster, no clock, no storage."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.slot_window import SlotWindow
from sensors.decisions import INFERENCE_TAG, DayStates, Outcome, Start, inference, ingestion, training

FIRST = date(2026, 3, 2)


def day(number: int) -> date:
    """The first day of the platform is day 0."""
    return FIRST + timedelta(days=number)


def dated(fingerprints: Mapping[int, str]) -> dict[date, str]:
    return {day(number): fingerprint for number, fingerprint in fingerprints.items()}


def days(
    landed: Mapping[int, str],
    ingested: Mapping[int, str] | None = None,
    *,
    today: int = 100,
    last: int | None = None,
    running: tuple[int, ...] = (),
) -> DayStates:
    return DayStates(
        first=FIRST,
        last=None if last is None else day(last),
        today=day(today),
        landed=dated(landed),
        ingested=dated(ingested or {}),
        running=frozenset(map(day, running)),
    )


def ranges(starts: list[Start]) -> list[tuple[int, int]]:
    assert {start.job for start in starts} <= {"ingest"}
    return [((start.first - FIRST).days, (start.last - FIRST).days) for start in starts]


class TestIngestion:
    def test_nothing_has_landed_so_nothing_is_expected(self) -> None:
        assert ingestion(days({})) == []

    def test_new_days_side_by_side_share_one_run(self) -> None:
        assert ranges(ingestion(days({0: "a", 1: "b", 2: "c"}, today=3))) == [(0, 2)]

    def test_a_changed_day_is_ingested_alone(self) -> None:
        known = {0: "a", 1: "b", 2: "c"}
        assert ranges(ingestion(days({**known, 1: "new"}, known, today=3))) == [(1, 1)]

    def test_a_settled_day_between_two_new_ones_makes_two_ranges(self) -> None:
        assert ranges(ingestion(days({0: "a", 1: "b", 2: "c"}, {1: "b"}, today=3))) == [(0, 0), (2, 2)]

    def test_everything_ingested_as_it_landed_leaves_nothing_to_do(self) -> None:
        assert ingestion(days({0: "a", 1: "b"}, {0: "a", 1: "b"}, today=2)) == []

    def test_a_day_without_files_is_an_empty_day_once_a_later_day_has_landed(self) -> None:
        assert ranges(ingestion(days({0: "a", 2: "c"}, {0: "a"}, today=3))) == [(1, 2)]
        assert ingestion(days({0: "a", 2: "c"}, {0: "a", 1: "", 2: "c"}, today=3)) == []

    def test_an_empty_day_that_lands_late_is_ingested_again(self) -> None:
        assert ranges(ingestion(days({0: "a", 1: "late", 2: "c"}, {0: "a", 1: "", 2: "c"}, today=3))) == [(1, 1)]

    def test_yesterday_without_a_file_waits_until_the_day_after_it_has_passed_too(self) -> None:
        assert ingestion(days({0: "a"}, {0: "a"}, today=2)) == []
        assert ranges(ingestion(days({0: "a"}, {0: "a"}, today=3))) == [(1, 1)]

    def test_the_file_of_a_day_that_has_not_ended_waits(self) -> None:
        assert ranges(ingestion(days({0: "a", 1: "half"}, today=1))) == [(0, 0)]

    def test_a_replay_expects_nothing_after_its_last_day(self) -> None:
        assert ranges(ingestion(days({0: "a", 1: "b"}, last=2, today=1_000))) == [(0, 2)]

    def test_a_day_that_a_run_is_ingesting_is_left_to_that_run(self) -> None:
        assert ranges(ingestion(days({0: "a", 1: "b", 2: "c"}, running=(1,), today=3))) == [(0, 0), (2, 2)]

    def test_a_platform_that_begins_tomorrow_expects_nothing(self) -> None:
        assert ingestion(days({0: "early"}, today=0)) == []

    def test_the_run_key_changes_with_the_content_of_any_day_and_with_nothing_else(self) -> None:
        def key(landed: Mapping[int, str], **more: int) -> str:
            (start,) = ingestion(days(landed, **more))
            return start.run_key

        before = key({0: "a", 1: "b"}, today=2)
        assert key({0: "a", 1: "b"}, today=3, last=1) == before
        assert key({0: "a", 1: "B"}, today=2) != before
        assert key({0: "a", 1: "b", 2: "c"}, today=3) != before
        assert len({key({0: "a", 2: "b"}, today=3), key({0: "a", 1: "b", 2: "b"}, today=3)}) == 2

    def test_the_run_key_can_be_read(self) -> None:
        (start,) = ingestion(days({0: "a", 1: "b"}, today=2))
        assert start.run_key.startswith("2026-03-02..2026-03-03:")


class TestIngestionAfterAFailure:
    def test_a_range_that_failed_is_tried_day_by_day(self) -> None:
        state = days({0: "a", 1: "broken", 2: "c"})
        (start,) = ingestion(state)
        again = ingestion(state, failed={start.run_key})
        assert [(one.first, one.last) for one in again[:3]] == [(day(number), day(number)) for number in range(3)]
        assert again[-1].last == start.last

    def test_a_range_with_other_content_is_tried_as_a_whole(self) -> None:
        (start,) = ingestion(days({0: "a", 1: "broken"}))
        assert len(ingestion(days({0: "a", 1: "mended"}), failed={start.run_key})) == 1


class TestNewestSettledDay:
    def test_it_is_the_newest_day_that_is_ingested_as_it_landed(self) -> None:
        assert days({0: "a", 1: "b", 2: "c"}, {0: "a", 1: "b"}).newest_settled() == day(1)

    def test_while_the_newest_day_is_ingested_again_there_is_none_because_nobody_wants_an_older_one(self) -> None:
        assert days({0: "a", 1: "new"}, {0: "a", 1: "b"}).newest_settled() is None
        assert days({0: "a", 1: "b"}, {0: "a", 1: "b"}, running=(1,)).newest_settled() is None

    def test_without_an_ingested_day_there_is_none(self) -> None:
        assert days({0: "a"}).newest_settled() is None


def window(slot: int) -> SlotWindow:
    return SlotWindow(day(slot), first=FIRST, holdout=day(slot - 1), last=day(slot - 1))


WINDOWS = [window(4), window(6), window(8)]


def settled(through: int, **more: Any) -> DayStates:
    """Days 0 to `through` are landed and ingested; closed too, unless `today` says that they are not."""
    state = {number: str(number) for number in range(through + 1)}
    return days(state, state, **more)


def slots(starts: list[Start]) -> list[int]:
    assert all(start.job == "train" and start.first == start.last for start in starts)
    return [(start.first - FIRST).days for start in starts]


class TestTraining:
    def test_the_newest_slot_whose_days_are_closed_and_ingested_is_trained(self) -> None:
        assert slots(training(settled(6), WINDOWS, {}, ())) == [6]

    def test_its_run_key_is_the_slot(self) -> None:
        (start,) = training(settled(6), WINDOWS, {}, ())
        assert start == Start("train", "2026-03-08", day(6), day(6))

    def test_the_last_day_must_be_closed_and_not_only_ingested(self) -> None:
        assert slots(training(settled(5, today=6), WINDOWS, {}, ())) == [4]
        assert slots(training(settled(5, today=7), WINDOWS, {}, ())) == [6]
        assert slots(training(settled(6, today=7), WINDOWS, {}, ())) == [6]

    def test_a_changed_day_is_ingested_before_anything_newer_is_trained(self) -> None:
        known = settled(8)
        assert slots(training(replace(known, landed={**known.landed, day(5): "new"}), WINDOWS, {}, ())) == [4]
        assert training(replace(known, landed={**known.landed, day(0): "new"}), WINDOWS, {}, ()) == []

    def test_days_before_the_training_window_count_too_because_what_users_own_reaches_back_to_them(self) -> None:
        short = SlotWindow(day(8), first=day(5), holdout=day(7), last=day(7))
        known = settled(8)
        assert slots(training(known, [short], {}, ())) == [8]
        assert training(replace(known, landed={**known.landed, day(2): "new"}), [short], {}, ()) == []

    def test_a_day_that_is_being_ingested_again_is_waited_for(self) -> None:
        assert slots(training(replace(settled(8), running=frozenset({day(7)})), WINDOWS, {}, ())) == [6]

    @pytest.mark.parametrize("outcome", ["refused", "waiting", "approved"])
    def test_a_slot_that_came_to_an_end_stays_as_it_is_and_no_older_one_is_trained(self, outcome: Outcome) -> None:
        assert training(settled(8), WINDOWS, {day(8): outcome}, ()) == []

    def test_a_slot_that_did_not_come_to_an_end_is_trained(self) -> None:
        assert slots(training(settled(8), WINDOWS, {day(8): "unfinished"}, ())) == [8]

    def test_what_became_of_older_slots_does_not_matter(self) -> None:
        assert slots(training(settled(8), WINDOWS, {day(4): "refused", day(6): "approved"}, ())) == [8]

    def test_a_slot_that_a_run_is_training_is_not_started_twice(self) -> None:
        assert training(settled(8), WINDOWS, {}, {day(8)}) == []
        assert slots(training(settled(8), WINDOWS, {}, {day(6)})) == [8]

    def test_a_replay_trains_the_first_slot_that_has_seen_its_whole_last_day(self) -> None:
        late = SlotWindow(day(9), first=FIRST, holdout=day(3), last=day(6))
        assert slots(training(settled(6, last=6), [*WINDOWS[:2], late], {}, ())) == [9]

    def test_without_slots_or_days_nothing_is_trained(self) -> None:
        assert training(settled(8), [], {}, ()) == []
        assert training(days({}), WINDOWS, {}, ()) == []


class TestInference:
    def key(self, features: int = 1, **approvals: int) -> str:
        (start,) = inference(FIRST, f"features-{features}", approvals or {"popularity": 1}, None, ())
        return start.run_key

    def test_the_newest_day_is_computed_and_its_run_carries_the_key(self) -> None:
        (start,) = inference(day(3), "features-12", {"popularity": 7, "als": 9}, None, ())
        key = "2026-03-05:features-12:als-9:popularity-7"
        assert start == Start("recommend", key, day(3), day(3), {INFERENCE_TAG: key})

    def test_lists_published_from_the_same_inputs_are_not_computed_again(self) -> None:
        assert inference(FIRST, "features-1", {"popularity": 1}, self.key(), ()) == []

    def test_whatever_changes_waits_until_the_run_for_the_day_has_ended(self) -> None:
        for features, approvals in ((1, {"popularity": 1}), (2, {"popularity": 1}), (1, {"popularity": 2})):
            assert inference(FIRST, f"features-{features}", approvals, self.key(), {FIRST}) == []

    def test_a_backfill_of_older_days_keeps_nobody_waiting(self) -> None:
        assert len(inference(day(3), "features-1", {"popularity": 1}, None, {day(1), day(2)})) == 1

    def test_new_features_and_new_approvals_each_start_a_run(self) -> None:
        published = self.key(1, popularity=1, als=2)
        for features, approvals in (
            (2, {"popularity": 1, "als": 2}),
            (1, {"popularity": 1, "als": 3}),
            (1, {"popularity": 4, "als": 2}),
            (1, {"popularity": 1}),
        ):
            assert len(inference(FIRST, f"features-{features}", approvals, published, ())) == 1

    def test_a_to_b_to_a_on_one_day_is_three_runs(self) -> None:
        keys = [self.key(popularity=1, als=event) for event in (10, 11, 12)]  # version A, then B, then A again
        assert len(set(keys)) == 3
        assert len(inference(FIRST, "features-1", {"popularity": 1, "als": 12}, keys[1], ())) == 1

    def test_the_order_in_which_families_are_listed_does_not_matter(self) -> None:
        assert self.key(popularity=1, als=2) == self.key(als=2, popularity=1)

    def test_without_an_approved_fallback_nothing_is_computed(self) -> None:
        assert inference(FIRST, "features-1", {"als": 2}, None, ()) == []

    def test_without_a_settled_day_nothing_is_computed(self) -> None:
        assert inference(None, "features-1", {"popularity": 1}, None, ()) == []


numbers = st.integers(0, 12)
fingerprints = st.sampled_from(("a", "b"))
landings = st.builds(
    days,
    landed=st.dictionaries(st.integers(-2, 14), fingerprints),
    ingested=st.dictionaries(numbers, st.sampled_from(("a", "b", ""))),
    today=st.integers(-1, 15),
    last=st.none() | numbers,
    running=st.lists(numbers, max_size=3).map(tuple),
)


def span(start: Start) -> list[date]:
    return [start.first + timedelta(days=offset) for offset in range((start.last - start.first).days + 1)]


def after(state: DayStates, starts: list[Start]) -> DayStates:
    """The days once the runs have done what they are for."""
    done = {one: state.landed.get(one, "") for start in starts for one in span(start)}
    return replace(state, ingested={**state.ingested, **done})


@given(landings)
def test_ingesting_what_is_asked_for_settles_every_expected_day_and_asks_for_nothing_more(state: DayStates) -> None:
    then = after(state, ingestion(state))
    assert ingestion(then) == []
    assert all(then.is_settled(one) or one in then.running for one in then.expected())


@given(landings)
def test_no_day_is_asked_for_twice_or_out_of_range_or_while_it_runs(state: DayStates) -> None:
    asked = [one for start in ingestion(state) for one in span(start)]
    assert asked == sorted(set(asked))
    assert not set(asked) & set(state.running)
    assert all(state.first <= one < state.today for one in asked)
    assert state.last is None or all(one <= state.last for one in asked)


@given(landings)
def test_only_days_that_need_it_are_asked_for(state: DayStates) -> None:
    for start in ingestion(state):
        assert not any(state.is_settled(one) for one in span(start))


@given(landings, st.integers(0, 5))
def test_a_closed_day_stays_closed_as_time_passes(state: DayStates, later: int) -> None:
    then = replace(state, today=state.today + timedelta(days=later))
    assert {one for one in state.expected() if state.is_closed(one)} <= set(filter(then.is_closed, then.expected()))


@given(landings, st.lists(st.integers(1, 14), unique=True).map(sorted))
def test_a_slot_is_trained_only_when_all_of_its_days_are_settled_and_closed(state: DayStates, ticks: list[int]) -> None:
    for start in training(state, [window(tick) for tick in ticks], {}, ()):
        seen = [one for one in span(Start("train", "", FIRST, start.first)) if one < start.first]
        assert all(state.is_settled(one) and state.is_closed(one) for one in seen)
