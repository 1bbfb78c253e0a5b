"""The plots of the page: pictures that say in words what they show, and belong to the page that holds them."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from xml.etree import ElementTree as ET

import pytest

from recsys_assets.monitoring.dashboard_data import ArmFigure, Dashboard, Decision, Estimate, IntakeDay, OnlineRow
from recsys_assets.monitoring.dashboard_plots import (
    differences_plot,
    intake_plot,
    online_plot,
    slots_plot,
    stretches,
)

FIRST = date(2026, 3, 2)
NOBODY = '<nobody> & "co" $1_2$'


def served(versions: str, rate: float = 0.1, **changes: object) -> list[OnlineRow]:
    """A day for each letter, which is the version; a space is a day on which another family served alone."""
    rows = [
        OnlineRow(FIRST + timedelta(days=day), "als", version, True, 1_000, 100, {"ctr": Estimate(rate, 0.08, 0.12)})
        for day, version in enumerate(versions)
        if version != " "
    ]
    return [replace(row, **changes) for row in rows]


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - we drew it


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in parsed(svg).iter("text")]


def told(svg: str) -> tuple[str, str]:
    root = parsed(svg)
    return root.findtext("title") or "", root.findtext("desc") or ""


@pytest.fixture(params=["online", "slots", "intake", "differences"])
def svg(request: pytest.FixtureRequest, busy_page: Dashboard) -> str:
    assert busy_page.experiment is not None
    drawn: dict[str, Callable[[], str]] = {
        "online": lambda: online_plot("als", served("1122"), busy_page.gate.decisions[:1]),
        "slots": lambda: slots_plot("als", [one for one in busy_page.judged if one.family == "als"]),
        "intake": lambda: intake_plot(busy_page.data.by_day),
        "differences": lambda: differences_plot(busy_page.experiment.figures if busy_page.experiment else ()),
    }
    return drawn[request.param]()


def test_a_picture_has_a_role_a_title_and_a_description(svg: str) -> None:
    root = parsed(svg)
    assert root.get("role") == "img"
    ids = [root.find(tag).get("id") for tag in ("title", "desc")]  # type: ignore[union-attr]
    assert root.get("aria-labelledby") == " ".join(str(one) for one in ids)
    assert all(told(svg))
    assert texts(svg), "words stay words, which can be searched and read aloud"


def test_a_picture_takes_its_colours_and_its_type_from_the_page(svg: str) -> None:
    assert re.findall(r"#[0-9a-fA-F]{6}\b", svg) == []
    assert "var(--hue)" in svg
    assert "font-family" not in svg
    assert "DejaVu" not in svg


def test_nothing_in_a_picture_comes_from_elsewhere(svg: str) -> None:
    assert re.findall(r"https?:|<script|<metadata|<style|xlink", svg) == []


def test_ids_of_two_pictures_never_meet_and_every_reference_has_its_target() -> None:
    both = [online_plot(family, served("1122"), ()) for family in ("als", "final")]
    ids = [re.findall(r' id="([^"]+)"', one) for one in both]
    assert not set(ids[0]) & set(ids[1])
    for known, one in zip(ids, both, strict=True):
        referred = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', one)
        assert referred
        assert {name for pair in referred for name in pair if name} <= set(known)


def test_the_same_values_draw_the_same_picture() -> None:
    assert online_plot("als", served("1122"), ()) == online_plot("als", served("1122"), ())


def test_versions_are_named_where_they_begin_also_when_they_come_back() -> None:
    back = Decision("als", "rollback", 1, 2, FIRST + timedelta(days=9), "the guardrail", "")
    svg = online_plot("als", served("1111111222111"), [back])
    assert [text for text in texts(svg) if text.startswith("v")] == ["v1", "v2", "v1"]
    assert "Version 2 was taken back on 11 Mar." in told(svg)[1]


def test_versions_that_serve_the_same_days_are_named_together() -> None:
    rows = sorted(served("33") + served("44"), key=lambda row: row.day)
    assert [text for text in texts(online_plot("als", rows, ())) if text.startswith("v")] == ["v3, v4"]


def test_a_version_is_parted_where_it_did_not_serve_and_not_where_nobody_did() -> None:
    days = [(row, row.figures["ctr"]) for row in served("11 1221")]
    assert [len(part) for part in stretches(days, "1")] == [3, 1]
    assert [len(part) for part in stretches(days, "2")] == [2]


def test_days_that_are_not_final_and_versions_that_were_refused_are_hollow(calm_page: Dashboard) -> None:
    def hollow(svg: str) -> int:
        return svg.count("fill: var(--card)")

    assert hollow(online_plot("als", served("111"), ())) == 0
    assert hollow(online_plot("als", served("111", is_final=False), ())) == 3
    reports = [one for one in calm_page.judged if one.family == "als"]
    assert hollow(slots_plot("als", reports)) == 0
    assert hollow(slots_plot("als", [replace(reports[0], is_passed=False), *reports[1:]])) == 1


def test_days_on_which_hardly_anything_was_shown_are_left_out() -> None:
    assert online_plot("als", served("111", impressions=99), ()) == ""
    assert online_plot("als", served("111", figures={}), ()) == ""


def test_without_anything_to_draw_there_is_no_picture() -> None:
    assert online_plot("als", (), ()) == ""
    assert slots_plot("als", ()) == ""
    assert intake_plot([IntakeDay(FIRST, 0, 0)]) == ""
    assert differences_plot([ArmFigure("control", 1, 9, "ctr", Estimate(0.1), None, "")]) == ""


def test_one_day_and_values_of_zero_can_be_drawn() -> None:
    assert "0.0\u00a0%" in told(online_plot("als", served("1", figures={"ctr": Estimate(0.0, 0.0, 0.0)}), ()))[1]
    assert texts(intake_plot([IntakeDay(FIRST, 1, 0)]))


def test_the_description_says_the_ends_and_the_extremes() -> None:
    rows = served("1", 0.1) + [replace(row, day=FIRST + timedelta(days=3)) for row in served("1", 0.02)]
    assert told(online_plot("als", rows, ())) == (
        "Click-through rate of als by day",
        "From 10.0\u00a0% on 2 Mar to 2.0\u00a0% on 5 Mar; lowest 2.0\u00a0%, highest 10.0\u00a0%. Versions 1.",
    )


def test_names_that_look_like_code_are_words_in_a_picture() -> None:
    svg = online_plot(NOBODY, served("1", version=NOBODY), ())
    assert told(svg)[0] == f"Click-through rate of {NOBODY} by day"
    assert f"v{NOBODY}" in texts(svg)
