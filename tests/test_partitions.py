"""Days and slots: which ones exist at a moment, and which days a slot sees."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.partitions import day_partitions, slot_days, slot_partitions
from recsys_assets.platform import BUNDLED_CONFIG, Platform, Training, load_platform
from recsys_assets.slot_window import slot_window

FIRST = date(2026, 1, 5)  # a Monday


def platform(last_day: date | None = None, *, zone: str = "UTC", **training: Any) -> Platform:
    changes = {
        "first_day": FIRST,
        "last_day": last_day,
        "time_zone": zone,
        "training": Training(**{"min_history_days": 14, **training}),
    }
    return load_platform(BUNDLED_CONFIG).model_copy(update=changes)


def slots(of: Platform, now: datetime) -> list[str]:
    return [f"{slot:%a %d %b}" for slot in slot_days(slot_partitions(of), now)]


def at(of: Platform, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=of.zone)


class TestDays:
    def test_the_newest_day_of_a_live_store_is_yesterday_in_its_time_zone(self) -> None:
        seoul = platform(zone="Asia/Seoul")
        days = day_partitions(seoul)
        assert days.get_partition_keys(current_time=at(seoul, 1, 7)) == ["2026-01-05", "2026-01-06"]
        assert days.get_partition_keys(current_time=at(seoul, 1, 6, 23)) == ["2026-01-05"]

    def test_a_replay_ends_with_its_last_day_however_late_it_is(self) -> None:
        replay = platform(date(2026, 1, 7))
        keys = day_partitions(replay).get_partition_keys(current_time=at(replay, 6, 1))
        assert keys == ["2026-01-05", "2026-01-06", "2026-01-07"]


class TestSlots:
    def test_slots_of_a_live_store_begin_after_the_least_history_and_exist_from_their_own_tick_on(self) -> None:
        live = platform()
        assert slots(live, at(live, 1, 18, 23)) == []
        assert slots(live, at(live, 1, 19)) == ["Mon 19 Jan"]
        assert slots(live, at(live, 1, 23)) == ["Mon 19 Jan", "Wed 21 Jan", "Fri 23 Jan"]

    def test_a_tick_belongs_to_the_configured_time_zone(self) -> None:
        seoul, london = platform(zone="Asia/Seoul"), platform(zone="Europe/London")
        assert slots(seoul, at(london, 1, 18, 15)) == ["Mon 19 Jan"]  # midnight in Seoul
        assert slots(london, at(london, 1, 18, 15)) == []

    @pytest.mark.parametrize(
        ("last", "slot"),
        [(25, "Mon 26 Jan"), (26, "Wed 28 Jan"), (27, "Wed 28 Jan"), (29, "Fri 30 Jan"), (30, "Mon 02 Feb")],
    )
    def test_a_replay_ends_with_the_first_slot_that_sees_its_whole_last_day(self, last: int, slot: str) -> None:
        replay = platform(date(2026, 1, last))
        assert slots(replay, at(replay, 9, 1))[-1] == slot

    def test_a_replay_has_every_slot_before_its_end(self) -> None:
        replay = platform(date(2026, 1, 24))
        assert slots(replay, at(replay, 9, 1)) == ["Mon 19 Jan", "Wed 21 Jan", "Fri 23 Jan", "Mon 26 Jan"]

    def test_slots_can_be_rare(self) -> None:
        monthly = platform(date(2026, 2, 10), slots="0 0 1 * *", holdout_days=7)
        assert slots(monthly, at(monthly, 9, 1)) == ["Sun 01 Feb", "Sun 01 Mar"]


class TestSlotWindow:
    def test_a_slot_holds_the_last_days_before_it_out_and_trains_on_the_days_before_those(self) -> None:
        seen = slot_window(platform(train_days=30, holdout_days=7), date(2026, 3, 2))
        assert (seen.first, seen.candidate_through) == (date(2026, 1, 31), date(2026, 2, 22))
        assert (seen.holdout, seen.last) == (date(2026, 2, 23), date(2026, 3, 1))

    def test_training_begins_with_the_first_day_where_there_are_not_enough(self) -> None:
        assert slot_window(platform(train_days=365), date(2026, 1, 19)).first == FIRST

    def test_the_last_slot_of_a_replay_sees_no_day_after_the_replay(self) -> None:
        seen = slot_window(platform(date(2026, 1, 24), holdout_days=7), date(2026, 1, 26))
        assert (seen.holdout, seen.last) == (date(2026, 1, 19), date(2026, 1, 24))

    @settings(deadline=None, max_examples=50)
    @given(st.integers(10, 400), st.integers(2, 9), st.integers(0, 400))
    def test_train_days_and_holdout_days_are_neighbours_and_all_lie_before_the_slot(
        self, train_days: int, holdout_days: int, offset: int
    ) -> None:
        of = platform(train_days=train_days, holdout_days=holdout_days)
        slot = of.first_slot_day + timedelta(days=offset)
        seen = slot_window(of, slot)
        assert FIRST <= seen.first <= seen.candidate_through < seen.holdout <= seen.last < slot == seen.slot
        assert (seen.last - seen.candidate_through).days == holdout_days
        assert (slot - seen.first).days <= train_days
