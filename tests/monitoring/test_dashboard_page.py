"""The page as a file: everything stands in it, nothing of it is code, and it says so where there is nothing."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import pytest

from recsys_assets import look
from recsys_assets.monitoring.dashboard_data import Dashboard, Decision, InProduction
from recsys_assets.monitoring.dashboard_page import hues, no_page, render, summary
from recsys_assets.monitoring.dashboard_readings import waiting
from recsys_assets.monitoring.dashboard_status import findings_of
from recsys_assets.validation.gate import required_checks

NOW = datetime(2026, 3, 15, 6, 5, tzinfo=UTC)
HTML = '<script>alert("x")</script>'


class Words(HTMLParser):
    """The text of a page, without styles."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, _: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["style"]:
            self.parts.append(data)


def words(page: str) -> str:
    parser = Words()
    parser.feed(page)
    return re.sub(r"[ \n]+", " ", " ".join(parser.parts))


@pytest.fixture(scope="module")
def busy(busy_page: Dashboard) -> str:
    return render(busy_page, NOW, date(2026, 3, 13))


def test_a_page_is_one_file_that_asks_for_nothing(busy: str) -> None:
    assert re.findall(r"<script|<iframe|<object|@import|url\((?!#)", busy) == []
    assert set(re.findall(r'(?:src|href)="([^"#][^"]*?)[",]', busy)) == {
        "data:image/svg+xml",
        "2026-03-13.html",
        "latest.html",
    }
    assert "default-src 'none'" in busy
    assert len(busy) < 300_000


def test_what_people_wrote_is_shown_and_never_run(busy: str) -> None:
    assert "alert(" in words(busy)
    assert HTML not in busy


def test_the_status_stands_first_with_what_to_do(busy: str, busy_page: Dashboard) -> None:
    text = words(busy)
    assert text.index("Status") < text.index("In production")
    for one in findings_of(busy_page):
        assert one.sentence in text
        assert one.remedy.replace("`", "").replace(" ", "") in text.replace(" ", "")


def test_the_page_says_when_it_was_written_and_when_the_next_one_is_due(calm_page: Dashboard) -> None:
    text = words(render(calm_page, NOW))
    assert "Saturday, 14 March 2026 all is well" in text
    assert "Written 15 Mar 2026, 06:05 (UTC)." in text
    assert "The next page is due on 16 March 2026" in text
    assert "due" not in words(render(replace(calm_page, is_replay=True), NOW)).split("Status")[0]


def test_the_first_day_of_a_shop_has_a_page_that_says_so(empty_page: Dashboard) -> None:
    text = words(render(empty_page, NOW))
    for sentence in (
        "1 to act on",
        "Nothing is measured yet: nothing tells what users are shown.",
        "No family is guarded.",
        "No experiment runs.",
        "No slot has been judged yet.",
        "Nothing has been refused or decided yet.",
        "Nothing has come in during the last four weeks.",
        "Nothing has been published yet.",
    ):
        assert sentence in text


def test_figures_stand_with_the_ends_of_their_intervals_where_these_are_known(busy: str) -> None:
    text = words(busy)
    assert "10.0\u00a0% 8.0\u00a0% to 12.0\u00a0%" in text
    assert "+20.0\u00a0% +5.0\u00a0% to +40.0\u00a0%" in text
    assert "\u221240.0\u00a0% \u221250.0\u00a0% to \u221230.0\u00a0%" in text


@pytest.mark.parametrize(
    ("kind", "version", "previous", "expected"),
    [
        ("promotion", 5, 4, "5 approved"),
        ("rollback", 4, 5, "back from 5 to 4"),
        ("rollback", 0, 5, "5 withdrawn"),
        ("rejection", 6, 5, "6 rejected"),
        ("noticed", 6, 5, "6 put in use in MLflow"),
    ],
)
def test_decisions_are_told_in_plain_words(
    calm_page: Dashboard, kind: str, version: int, previous: int, expected: str
) -> None:
    decision = Decision("als", kind, version, previous, calm_page.day, "ann", "because")
    text = words(render(replace(calm_page, gate=replace(calm_page.gate, decisions=(decision,))), NOW))
    assert expected in text.split("What the gate refused")[1]


def test_a_family_has_the_colour_of_its_place_and_a_seventh_that_of_the_first() -> None:
    assert list(hues("abcdefg").values()) == ["f0", "f1", "f2", "f3", "f4", "f5", "f0", "final"]


def test_the_summary_counts_what_is_most_urgent(busy_page: Dashboard, calm_page: Dashboard) -> None:
    assert summary(findings_of(calm_page)) == "all is well"
    acts = sum(one.level == "act" for one in findings_of(busy_page))
    assert summary(findings_of(busy_page)) == f"{acts} to act on"
    assert acts > 1


def test_where_there_is_no_page_the_newest_one_is_named_or_what_to_do() -> None:
    assert "recsys run" in words(no_page(None))
    assert "The newest one is that of 14 March 2026." in words(no_page(date(2026, 3, 14))).replace(" .", ".")


def test_numbers_are_written_alike_on_all_pages() -> None:
    assert look.percent(0.1234) == "12.3\u00a0%"
    assert look.number(12_345) == "12,345"
    assert look.number(0.5) == "0.50"
    assert look.day(date(2026, 3, 4)) == "4 March 2026"


def test_what_waits_is_the_newest_version_that_passed_everything_and_that_nobody_has_decided_on() -> None:
    whole, part = required_checks("als"), {"ndcg_above_floor"}
    slot = date(2026, 3, 9)
    passed = {
        ("als", "3"): (date(2026, 3, 6), whole),  # older than what serves
        ("als", "5"): (date(2026, 3, 11), whole),
        ("als", "10"): (date(2026, 3, 13), whole),
        ("als", "11"): (date(2026, 3, 16), part),  # its release is not judged yet
        ("als", "12"): (date(2026, 3, 16), whole),  # rejected
        ("popularity", "4"): (slot, required_checks("popularity")),  # it serves
        ("ease", "1"): (slot, required_checks("ease")),  # no longer configured
    }
    production = [InProduction("als", 1.0, version=4, slot=slot), InProduction("popularity", 0.0, version=4, slot=slot)]
    rejected = Decision("als", "rejection", 12, 4, date(2026, 3, 15), "ann", "too many box sets")
    assert waiting(passed, production, [rejected]) == (("als", "10"),)
    nothing_serves = [InProduction("als", 1.0)]
    assert waiting({("als", "1"): (slot, whole)}, nothing_serves, []) == (("als", "1"),)
