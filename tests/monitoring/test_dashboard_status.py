"""The status of the page: what needs somebody is said first, with what to do about it."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.monitoring.dashboard_data import (
    Dashboard,
    Decision,
    Estimate,
    Gate,
    InProduction,
    Intake,
    Online,
    Refusal,
)
from recsys_assets.monitoring.dashboard_status import LEVELS, Finding, findings_of, overall

SECTIONS = {"production", "offline", "online", "experiment", "guardrails", "gate", "data", "publication"}


def said(page: Dashboard, section: str) -> list[tuple[str, str]]:
    return [(one.level, one.sentence) for one in findings_of(page) if one.section == section]


def levels(page: Dashboard, section: str) -> list[str]:
    return [level for level, _ in said(page, section)]


def test_every_section_says_something_and_the_most_urgent_comes_first(
    empty_page: Dashboard, calm_page: Dashboard, busy_page: Dashboard
) -> None:
    for page in (empty_page, calm_page, busy_page):
        findings = findings_of(page)
        assert {one.section for one in findings} == SECTIONS
        places = [LEVELS.index(one.level) for one in findings]
        assert places == sorted(places)
        assert overall(findings) == findings[0].level
        assert all(one.remedy for one in findings if one.level != "ok" and page is busy_page)


def test_on_a_day_on_which_all_is_well_nothing_is_asked_of_anybody(calm_page: Dashboard) -> None:
    findings = findings_of(calm_page)
    assert {one.level for one in findings} == {"ok"}
    assert overall(findings) == "ok"
    assert "5,000 items were shown on 14 March 2026, 10.0\u00a0% of them clicked." in [one.sentence for one in findings]


def test_the_first_day_says_that_nobody_gets_recommendations_and_what_to_wait_for(empty_page: Dashboard) -> None:
    assert said(empty_page, "production") == [("act", "No version is approved, so nobody gets recommendations.")]
    assert levels(empty_page, "publication") == ["look"]  # nothing could be published yet
    assert levels(empty_page, "online") == ["ok"]  # nothing tells what is shown


@pytest.mark.parametrize(("days", "level"), [(10, "ok"), (11, "look"), (21, "look"), (22, "act")])
def test_a_version_that_has_not_seen_data_for_long_is_named(calm_page: Dashboard, days: int, level: str) -> None:
    popularity, als = calm_page.production
    page = replace(calm_page, production=(popularity, replace(als, days_behind=days)))
    assert levels(page, "production") == [level]


def test_without_the_fallback_nothing_can_be_published_and_without_another_family_the_rest_serves(
    calm_page: Dashboard,
) -> None:
    popularity, als = calm_page.production
    without_als = replace(calm_page, production=(popularity, InProduction("als", 1.0)))
    without_fallback = replace(calm_page, production=(InProduction("popularity", 0.0), als))
    assert levels(without_als, "production") == ["look"]
    assert levels(without_fallback, "production") == ["act"]


def test_ranking_has_fallen_only_where_the_intervals_lie_apart(calm_page: Dashboard) -> None:
    def with_newest(ndcg: Estimate) -> Dashboard:
        return replace(
            calm_page,
            judged=tuple(
                replace(one, ndcg=ndcg) if (one.family, one.version) == ("als", "5") else one
                for one in calm_page.judged
            ),
        )

    assert levels(with_newest(Estimate(0.09, 0.07, 0.11)), "offline") == ["ok"]  # it was 0.10 to 0.14
    ((level, sentence),) = said(with_newest(Estimate(0.08, 0.06, 0.09)), "offline")
    assert (level, sentence.split(" is clearly")[0]) == ("look", "NDCG at 10 of als")


def test_impressions_that_stop_are_acted_on_and_a_day_without_them_is_not(calm_page: Dashboard) -> None:
    def without_days(count: int) -> Dashboard:
        rows = tuple(row for row in calm_page.online.rows if (calm_page.day - row.day).days >= count)
        return replace(calm_page, online=replace(calm_page.online, rows=rows))

    assert levels(without_days(1), "online") == ["ok"]
    assert said(without_days(2), "online") == [("act", "No impressions have come since 12 March 2026, 2 days ago.")]
    stopped = replace(calm_page, online=Online(is_fed=True))
    assert levels(stopped, "online") == ["look"]


def test_impressions_that_count_for_nothing_are_told_with_their_reasons(calm_page: Dashboard) -> None:
    few = replace(calm_page, online=replace(calm_page.online, set_aside={"unknown_version": 250}))
    many = replace(calm_page, online=replace(calm_page.online, set_aside={"unknown_version": 251, "no_customer": 1}))
    assert levels(few, "online") == ["ok"]
    ((level, sentence),) = said(many, "online")
    assert level == "look"
    assert sentence.endswith("count for nothing: unknown version and no customer.")


def test_arms_that_hold_other_users_than_they_should_make_every_difference_worthless(busy_page: Dashboard) -> None:
    assert busy_page.experiment is not None
    differences = "click-through rate of bold is higher and revenue per impression of bold is higher"
    assert said(busy_page, "experiment") == [("look", f"Certain by now in spring: {differences}.")]
    broken = replace(busy_page, experiment=replace(busy_page.experiment, mismatch=0.0001))
    assert levels(broken, "experiment") == ["act"]


def test_a_guardrail_that_has_acted_is_told_for_a_week_and_asks_for_nothing_more(calm_page: Dashboard) -> None:
    below = replace(calm_page, guarded=(replace(calm_page.guarded[0], state="below"),))
    assert levels(below, "guardrails") == ["act"]
    for days, expected in ((0, ["look"]), (6, ["look"]), (7, ["ok"])):
        known = calm_page.day - timedelta(days=days)
        back = Decision("als", "rollback", 4, 5, known, "the guardrail", "it fell", is_by_guardrail=True)
        assert levels(replace(below, gate=Gate(decisions=(back,))), "guardrails") == expected


def test_what_may_be_falling_is_looked_at(calm_page: Dashboard) -> None:
    doubtful = replace(calm_page, guarded=(replace(calm_page.guarded[0], is_in_question=True),))
    assert levels(doubtful, "guardrails") == ["look"]


def test_a_refusal_is_looked_at_and_the_third_in_a_row_is_acted_on(calm_page: Dashboard) -> None:
    newest = date(2026, 3, 13)
    judged = [
        replace(calm_page.judged[0], slot=newest - timedelta(days=2 * back), version=str(9 - back), is_passed=back > 2)
        for back in range(4)
    ]
    refusals = [Refusal("als", one.version, one.slot, ("why",)) for one in judged if not one.is_passed]
    twice = replace(calm_page, judged=tuple(judged[1:]), gate=Gate(refusals=tuple(refusals[1:])))
    thrice = replace(calm_page, judged=tuple(judged), gate=Gate(refusals=tuple(refusals)))
    assert levels(twice, "gate") == ["look"]
    assert said(thrice, "gate") == [("act", "als was refused in 3 slots in a row.")]


def test_a_version_that_waits_names_the_command_that_lets_it_serve(calm_page: Dashboard) -> None:
    page = replace(calm_page, gate=Gate(waiting=(("als", "6"),)))
    (finding,) = (one for one in findings_of(page) if one.section == "gate")
    assert (finding.level, "recsys approve als 6" in finding.remedy) == ("look", True)


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"rejected": 30}, "ok"),  # three times the usual share
        ({"rejected": 45}, "look"),
        ({"usual_rejected": None, "rejected": 45}, "look"),
        ({"accepted": 0, "rejected": 0}, "act"),
        ({"table": "items", "accepted": 0, "rejected": 0}, "look"),
        ({"accepted": 0, "rejected": 0, "is_daily": False}, "ok"),  # it does not come every day
    ],
)
def test_what_came_in_is_held_against_what_is_usual(calm_page: Dashboard, changes: Any, level: str) -> None:
    table = Intake("events", calm_page.day, 970, 0, 0.0101, {}, is_daily=True)
    page = replace(calm_page, data=replace(calm_page.data, tables=(replace(table, **changes),)))
    assert levels(page, "data") == [level]


def test_a_day_that_is_missing_in_the_lake_is_acted_on(calm_page: Dashboard) -> None:
    missing = tuple(date(2026, 3, day) for day in (1, 2, 3, 4))
    ((level, sentence),) = said(replace(calm_page, data=replace(calm_page.data, missing=missing)), "data")
    assert level == "act"
    assert sentence.endswith("2 March 2026, 3 March 2026 and 4 March 2026, and 1 more.")


def test_lists_that_are_behind_are_published_and_lists_that_have_become_few_are_looked_at(calm_page: Dashboard) -> None:
    newest, older = calm_page.publications
    for days, level in ((1, "look"), (2, "act")):
        behind = replace(older, as_of=calm_page.day - timedelta(days=days))
        assert levels(replace(calm_page, publications=(behind,)), "publication") == [level]
    assert levels(replace(calm_page, publications=()), "publication") == ["act"]
    few = replace(newest, lists=int(0.8 * older.lists) - 1)
    assert levels(replace(calm_page, publications=(few, older)), "publication") == ["look"]


@given(st.lists(st.sampled_from(LEVELS)))
def test_the_whole_is_as_urgent_as_its_most_urgent_part(found: list[Any]) -> None:
    findings = tuple(Finding("data", level, "so it is") for level in found)
    assert overall(findings) == min([*found, "ok"], key=LEVELS.index)
