"""Messages say what happened in Slack's blocks, within Slack's limits, whatever the facts hold."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.features.pages import Grid, Page
from recsys_assets.monitoring.block_kit import Link, blocks_of, escaped
from recsys_assets.monitoring.messages import (
    AlertNews,
    Message,
    Places,
    RunNews,
    VersionNews,
    about_alert,
    about_run,
    about_version,
)

PLACES = Places("https://dagster.example.com", "https://mlflow.example.com")
ENTITY = re.compile(r"&(amp|lt|gt);")
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="3") | st.sampled_from("<>&*`|\n"), max_size=40
).map(lambda text: text * 100)


def as_it_is(text: str) -> str:
    return text


def version_news(**changes: Any) -> VersionNews:
    known = VersionNews(
        what="approved",
        family="als",
        version=3,
        slot=date(2026, 3, 2),
        status="Approved: passed every check of the gate",
        reason="passed every check of the gate",
        by="the gate",
        metrics={
            "ndcg_at_10": 0.0512,
            "ndcg_at_10_low": 0.0450,
            "ndcg_at_10_high": 0.0580,
            "ndcg_at_10_change_to_approved": 0.031,
            "ndcg_at_10_change_to_approved_low": -0.01,
            "ndcg_at_10_change_to_approved_high": 0.07,
            "catalogue_coverage": 0.25,
        },
        before=2,
        before_metrics={"ndcg_at_10": 0.05, "catalogue_coverage": 0.2},
        mlflow_run="abc123",
        dagster_run="9d0c-run",
    )
    return replace(known, **changes)


def require_valid(blocks: list[dict[str, Any]]) -> None:
    """Slack's limits, as its reference gives them; and none of its signs but those of a link."""
    assert 1 <= len(blocks) <= 50
    for block in blocks:
        texts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
        assert block["type"] in {"header", "section", "context"}
        assert len(block.get("fields", [])) <= 10
        assert len(block.get("elements", [])) <= 10
        longest = 150 if block["type"] == "header" else 2_000 if "fields" in block else 3_000
        for text in texts:
            if text is None:
                continue
            assert set(text) <= {"type", "text", "emoji"}
            assert 1 <= len(text["text"]) <= longest
            if text["type"] == "mrkdwn":
                bare = re.sub(r"<https?://[^<>|]+\|[^<>]*>", "", text["text"])
                assert not set("<>") & set(bare)
                assert "&" not in ENTITY.sub("", bare)


def words(message: Message) -> str:
    return str(message.blocks)


def test_an_approved_version_is_told_with_its_figures_its_change_and_where_to_look() -> None:
    message = about_version(version_news(), PLACES, as_it_is)
    require_valid(message.blocks)
    assert message.text == "✅ als version 3 (slot 2026-03-02) is approved: passed every check of the gate"
    for part in (
        "*family*\\nals",
        "*version*\\n3",
        "*slot*\\n2026-03-02",
        "*status*\\nApproved",
        "*in production before*\\nals version 2",
        "*by*\\nthe gate",
        "+3.1 % on the same users (95 % interval -1 % to +7 %)",
        "<https://dagster.example.com/runs/9d0c-run|run in Dagster>",
        "<https://mlflow.example.com/#/models/recsys-als/versions/3|version in MLflow>",
    ):
        assert part in words(message)
    assert re.search(r"NDCG at 10 +0\.0512 +0\.0450 to 0\.0580 +0\.0500 +\+2\.4 %", words(message))
    assert "| NDCG at 10 | 0.0512 | 0.0450 to 0.0580 | 0.0500 | +2.4 % |" in message.markdown
    assert "[run in Dagster](https://dagster.example.com/runs/9d0c-run)" in message.markdown


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({"what": "trained"}, "🧪 als version 3 (slot 2026-03-02) is trained and passed the gate"),
        ({"what": "rejected", "by": ""}, "✋ als version 3 (slot 2026-03-02) is rejected by the gate"),
        ({"what": "rejected", "by": "kim"}, "✋ als version 3 (slot 2026-03-02) is rejected by kim"),
        ({"what": "rolled back", "before": 4}, "↩️ als is rolled back from version 4 to version 3 (slot 2026-03-02)"),
        ({"what": "rolled back", "version": 0, "slot": None}, "↩️ No version of als is in production any more"),
        ({"what": "noticed"}, "👀 als version 3 (slot 2026-03-02) is put in production in MLflow itself"),
    ],
)
def test_the_headline_says_what_happened(changes: dict[str, Any], headline: str) -> None:
    message = about_version(version_news(**changes), PLACES, as_it_is)
    require_valid(message.blocks)
    assert message.blocks[0]["text"]["text"] == headline


def test_a_first_version_without_figures_or_mlflow_pages_is_told_too() -> None:
    news = version_news(before=0, metrics={}, before_metrics={}, dagster_run="")
    message = about_version(news, Places("http://localhost:3000", ""), as_it_is)
    require_valid(message.blocks)
    assert "*in production before*\\nnone" in words(message)
    assert "*run in MLflow*\\nabc123" in words(message)


def test_a_failed_run_names_what_failed_whom_it_concerns_and_the_error_in_one_line() -> None:
    errors = (("models/als", "no rows\n  in <training_set>"), ("", "it was stopped"))
    message = about_run(RunNews("run-1", "train", "2026-03-02", errors, "team:shop"), PLACES, as_it_is)
    require_valid(message.blocks)
    assert message.text == "❌ train of 2026-03-02 failed: models/als: no rows in <training_set>; it was stopped"
    assert message.notification.endswith("models/als: no rows in &lt;training_set&gt;; it was stopped")
    for part in (
        "*owner*\\nteam:shop",
        "*failed*\\nmodels/als",
        "<https://dagster.example.com/assets/models/als|models/als>",
    ):
        assert part in words(message)


def test_a_guardrail_alert_says_what_was_measured() -> None:
    figures = {"ctr": "0.01", "threshold": "0.02"}
    news = AlertNews("monitoring/online_metrics", "als_ctr", "2026-03-02", "CTR fell", figures, "run-1", "team:shop")
    message = about_alert(news, PLACES, as_it_is)
    require_valid(message.blocks)
    assert message.text == "⚠️ Alert: als_ctr failed on 2026-03-02: CTR fell"
    assert "*ctr*\\n0.01" in words(message)


@pytest.mark.parametrize("build", ["version", "run", "alert"])
@given(texts=st.lists(TEXTS, min_size=3, max_size=3), many=st.sampled_from([0, 1, 12, 120]))
@settings(max_examples=15, deadline=None)
def test_every_message_keeps_slacks_limits_and_hides_every_secret(build: str, texts: list[str], many: int) -> None:
    secret = "s3cr&t<word>"  # noqa: S105 - of nobody
    first, second, third = (f"{text[:1490]}{secret} {text}" for text in texts)
    build_one: dict[str, Callable[[], Message]] = {
        "version": lambda: about_version(
            version_news(reason=first, status=second, by=third, before_metrics={first: 1.0}),
            PLACES,
            hide(secret),
        ),
        "run": lambda: about_run(RunNews("r", first, second, ((third, first),) * many, second), PLACES, hide(secret)),
        "alert": lambda: about_alert(
            AlertNews(first, second, third, first, {f"{number}{first}": second for number in range(many)}, "r", third),
            PLACES,
            hide(secret),
        ),
    }
    message = build_one[build]()
    require_valid(message.blocks)
    assert len(message.notification) <= 1_000
    for text in (message.text, message.markdown, message.notification, words(message)):
        assert "s3cr" not in text


def hide(secret: str) -> Callable[[str], str]:
    return lambda text: text.replace(secret, "***")


@given(TEXTS, st.integers(20, 500))
def test_escaped_text_means_the_same_as_its_beginning(text: str, most: int) -> None:
    slack = escaped(text, most)
    plain = slack.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert len(slack) <= most
    assert plain == text or (plain.endswith("…") and text.startswith(plain[:-1]))


def test_a_page_with_more_than_fits_keeps_its_links_and_says_how_much_is_missing() -> None:
    grid = Grid("Rows", ("a", "b"), tuple((f"row {number}", "x" * 100) for number in range(200)))
    page = Page("many", "", tuple((f"fact {number}", "v") for number in range(600)), (grid,) * 20)
    blocks = blocks_of(page, [Link("look | here", "https://example.com/a b?x=<1>&y=2")])
    require_valid(blocks)
    assert blocks[-1]["elements"][0]["text"] == "<https://example.com/a%20b?x=%3C1%3E&amp;y=2|look / here>"
    (one,) = [one for one in blocks_of(Page("one", "", (), (grid,)), []) if one["type"] == "section"]
    assert re.search(r"and \d+ more$", one["text"]["text"])
