"""When the page of a day is due."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from sensors.decisions import dashboard

DAY = date(2026, 3, 14)
states = st.text("abc", max_size=3)


@given(states, st.none() | states)
def test_a_page_is_due_until_it_is_written_from_what_there_is(state: str, written: str | None) -> None:
    due = dashboard(DAY, state, written)
    assert bool(due) == (state != written)
    assert dashboard(DAY, state, state) == []


def test_its_run_is_known_by_its_day_and_by_what_the_page_is_made_of() -> None:
    (start,) = dashboard(DAY, "abc", None)
    assert (start.job, start.first, start.last, start.run_key) == ("dashboard", DAY, DAY, "dashboard:2026-03-14:abc")
