"""Which news is due: each thing once, nothing from before reports began, and no refusal twice."""

from datetime import date
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from sensors.news import Beginning, Judged, decision_key, due_decisions, due_runs, due_versions

NOW = Beginning(0.0, {})
SLOT = date(2026, 3, 2)
FAILED = ("ndcg_above_floor: below",)


class Recorded(NamedTuple):
    event_id: int
    since: float
    at: str = ""
    kind: str = "promotion"
    version: int = 1


def judged(version: int, stage: Any = "candidate", *, fails: bool = False, family: str = "als") -> Judged:
    return Judged(family, version, SLOT, stage, FAILED if fails else ())


def told(found: list[Judged], known: set[str] = frozenset(), beginning: Beginning = NOW) -> list[str]:
    return [one.key for one in due_versions(found, beginning, known.__contains__)]


def test_a_version_that_passed_is_told_as_trained_once_although_it_is_judged_twice() -> None:
    both = [judged(1, "release"), judged(1)]
    assert told(both) == ["trained:als:1"]
    assert told(both, {"trained:als:1"}) == []


def test_a_version_that_the_gate_refuses_is_told_as_rejected_and_not_as_trained_too() -> None:
    assert told([judged(2, fails=True)]) == ["rejected:als:2"]


def test_a_version_whose_release_is_refused_was_trained_before() -> None:
    assert told([judged(3, "release", fails=True), judged(3)]) == ["trained:als:3", "rejected:als:3"]


def test_what_was_judged_before_reports_began_is_not_told() -> None:
    beginning = Beginning(100.0, {"als": 2})
    assert told([judged(1), judged(2, fails=True), judged(3), judged(1, family="ease")], beginning=beginning) == [
        "trained:ease:1",
        "trained:als:3",
    ]


def test_decisions_are_told_oldest_first_and_none_from_before_reports_began() -> None:
    newest_first = [Recorded(number, float(number), f"day {number}") for number in (5, 4, 3, 2, 1)]
    due = due_decisions("als", newest_first, Beginning(3.0, {}), {"approved:als:1:day 3"}.__contains__)
    assert [key for key, _ in due] == ["approved:als:1:day 4", "approved:als:1:day 5"]


def test_no_older_decision_is_read_than_needed() -> None:
    def history() -> Any:
        yield Recorded(2, 2.0, "told")
        raise AssertionError("it was told, so everything before it was")

    assert due_decisions("als", history(), NOW, {"approved:als:1:told"}.__contains__) == []


def test_a_new_history_of_dagster_does_not_hide_its_first_decisions() -> None:
    keys = {decision_key("als", Recorded(1, 5.0, at)) for at in ("2026-03-02T05:00", "2026-03-04T05:00")}
    assert len(keys) == 2


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.booleans()), max_size=20))
def test_told_bit_by_bit_or_all_at_once_everything_is_told_once(found: list[tuple[int, bool, bool]]) -> None:
    versions = [judged(number, "release" if late else "candidate", fails=fails) for number, late, fails in found]
    known: set[str] = set()
    for end in range(len(versions) + 1):
        new = set(told(versions[:end], known))
        assert not new & known
        known |= new
    assert known == set(told(versions))
    assert due_runs(["a", "b"], {"run:a"}.__contains__) == [("run:b", "b")]
