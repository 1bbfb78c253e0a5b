"""Messages: what happened, as facts, in the words and blocks of a report. Pure.

Reading the facts and telling them stays out (`sensors.telling`); how blocks look is in `block_kit`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from recsys_assets.features.pages import Grid, Page, as_markdown
from recsys_assets.monitoring.block_kit import NOTIFICATION_LENGTH, Block, Link, blocks_of, cut, escaped

What = Literal["trained", "approved", "rejected", "rolled back", "noticed"]
Clean = Callable[[str], str]
"""Hides secrets."""

FIGURES = {
    "ndcg_at_10": "NDCG at 10",
    "ndcg_at_50": "NDCG at 50",
    "recall_at_10": "recall at 10",
    "hit_rate_at_10": "hit rate at 10",
    "catalogue_coverage": "share of the catalogue",
}
"""The figures of a version that a message shows, as they are stored and as they are called."""
CHANGES = {
    "ndcg_at_10_change_to_approved": "NDCG at 10 against the approved version",
    "ndcg_at_10_change_to_popularity": "NDCG at 10 against popularity",
}
SIGNS = {"trained": "🧪", "approved": "✅", "rejected": "✋", "rolled back": "↩️", "noticed": "👀"}


@dataclass(frozen=True)
class Message:
    """What is told.

    Attributes:
        text: The whole in one line: for the log.
        notification: The same as Slack reads it.
        markdown: The whole, as a file.
        blocks: The whole, as Slack's blocks.
    """

    text: str
    notification: str
    markdown: str
    blocks: list[Block]


@dataclass(frozen=True)
class VersionNews:
    """Something that happened to a version.

    Attributes:
        what: What happened.
        family: The model family.
        version: Its number; 0 where a family is left without one.
        slot: The training slot; None without a version.
        reason: Why it happened.
        by: Who decided; empty where nobody did.
        before: The version that was in use until then, or is; 0 for none.
        dagster_run: The run in which it happened; empty where it is not known.
        status: Where it stands by now.
        metrics: The figures on the version.
        before_metrics: Those of the version before, on the holdout of its own slot.
        mlflow_run: Its run in MLflow.
    """

    what: What
    family: str
    version: int
    slot: date | None
    reason: str
    by: str
    before: int
    dagster_run: str
    status: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    before_metrics: Mapping[str, float] = field(default_factory=dict)
    mlflow_run: str = ""


@dataclass(frozen=True)
class RunNews:
    """A run that failed.

    Attributes:
        run_id: Dagster's id of it.
        job: What was started.
        partition: Day, slot or range of days; empty for none.
        errors: What failed, and the error: an asset's key, or empty for the run itself.
        owner: Whom it concerns.
    """

    run_id: str
    job: str
    partition: str
    errors: tuple[tuple[str, str], ...]
    owner: str


@dataclass(frozen=True)
class AlertNews:
    """A guardrail that was left.

    Attributes:
        asset: The asset whose check failed.
        check: The check.
        partition: The day; empty for none.
        sentence: What the check says.
        figures: What it says in numbers and words, by name.
        run_id: The run that checked.
        owner: Whom it concerns.
    """

    asset: str
    check: str
    partition: str
    sentence: str
    figures: Mapping[str, str]
    run_id: str
    owner: str


@dataclass(frozen=True)
class Places:
    """Where people look further.

    Attributes:
        dagster: Address of the Dagster UI.
        mlflow: Address of MLflow's pages; empty where it has none, as on SQLite.
    """

    dagster: str
    mlflow: str

    def run(self, run_id: str) -> list[Link]:
        """A run of Dagster."""
        return [Link("run in Dagster", f"{self.dagster}/runs/{run_id}")] if run_id else []

    def asset(self, key: str) -> list[Link]:
        """An asset."""
        return [Link(key, f"{self.dagster}/assets/{key}")] if key else []

    def version(self, family: str, version: int) -> list[Link]:
        """A version's page in MLflow."""
        if not self.mlflow or not version:
            return []
        return [Link("version in MLflow", f"{self.mlflow}/#/models/recsys-{family}/versions/{version}")]


def about_version(news: VersionNews, places: Places, clean: Clean) -> Message:
    """What happened to a version."""
    before = f"{news.family} version {news.before}" if news.before else "none"
    facts = (
        ("family", news.family),
        ("version", str(news.version) if news.version else "none: the fallback serves"),
        ("slot", str(news.slot or "")),
        ("status", news.status),
        ("in production before" if news.what in ("approved", "rolled back") else "in production", before),
        ("by", news.by),
        *((label, _change(news.metrics, name)) for name, label in CHANGES.items()),
        ("run in MLflow", "" if places.version(news.family, news.version) else news.mlflow_run),
    )
    links = [
        *places.run(news.dagster_run),
        *places.version(news.family, news.version),
        *places.asset(f"approved/{news.family}"),
    ]
    page = Page(f"{SIGNS[news.what]} {_headline(news)}", news.reason, facts, (_figures(news),))
    return _message(page, links, clean)


def about_run(news: RunNews, places: Places, clean: Clean) -> Message:
    """A run that failed, whom it concerns and why; one line an error."""
    of = f" of {news.partition}" if news.partition else ""
    names = ", ".join(asset for asset, _ in news.errors if asset)
    facts = (("job", news.job), ("partition", news.partition), ("failed", names), ("owner", news.owner))
    title = f"❌ {news.job}{of} failed"
    description = "; ".join(f"{asset}: {error}" if asset else error for asset, error in news.errors)
    assets = [link for asset, _ in news.errors for link in places.asset(asset)]
    return _message(Page(title, description, facts, ()), [*places.run(news.run_id), *assets], clean)


def about_alert(news: AlertNews, places: Places, clean: Clean) -> Message:
    """A guardrail that was left."""
    of = f" on {news.partition}" if news.partition else ""
    facts = (("check", news.check), ("day", news.partition), ("owner", news.owner), *news.figures.items())
    page = Page(f"⚠️ Alert: {news.check} failed{of}", news.sentence, facts, ())
    return _message(page, [*places.run(news.run_id), *places.asset(news.asset)], clean)


def _message(page: Page, links: list[Link], clean: Clean) -> Message:
    """Every text of a page goes through `clean` here, whole, before anything is cut or escaped."""

    def line(text: str) -> str:
        return " ".join(clean(text).split())

    tidy = Page(
        name=line(page.name),
        description=line(page.description),
        facts=tuple((line(name), line(value)) for name, value in page.facts if value),
        grids=tuple(
            replace(grid, rows=tuple(tuple(map(line, row)) for row in grid.rows)) for grid in page.grids if grid.rows
        ),
    )
    links = [Link(line(link.label), clean(link.url)) for link in links]
    text = cut(f"{tidy.name}: {tidy.description}" if tidy.description else tidy.name, NOTIFICATION_LENGTH)
    markdown = as_markdown(tidy)
    if links:
        markdown += "\n\n" + " · ".join(f"[{link.label}]({link.url})" for link in links)
    return Message(text, escaped(text, NOTIFICATION_LENGTH), markdown, blocks_of(tidy, links))


def _headline(news: VersionNews) -> str:
    version = f"{news.family} version {news.version}"
    of_slot = f" (slot {news.slot})"
    if news.what == "trained":
        return f"{version}{of_slot} is trained and passed the gate"
    if news.what == "rejected":
        whom = f"by {news.by}" if news.by else "by the gate"
        return f"{version}{of_slot} is rejected {whom}"
    if not news.version:
        return f"No version of {news.family} is in production any more"
    if news.what == "rolled back":
        return f"{news.family} is rolled back from version {news.before} to version {news.version}{of_slot}"
    how = "approved" if news.what == "approved" else "put in production in MLflow itself"
    return f"{version}{of_slot} is {how}"


def _change(metrics: Mapping[str, float], name: str) -> str:
    """A relative change on the same users, with its interval."""
    if name not in metrics:
        return ""
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    interval = "" if low is None or high is None else f" (95 % interval {_percent(low)} to {_percent(high)})"
    return f"{_percent(metrics[name])} on the same users{interval}"


def _percent(share: float) -> str:
    return f"{100 * share:+.3g} %"


def _figures(news: VersionNews) -> Grid:
    """The figures, beside those of the version before on the holdout of its own slot."""
    is_beside = bool(news.before_metrics)
    rows = tuple(
        (
            label,
            f"{news.metrics[name]:.4f}",
            _interval(news.metrics, name),
            *([_number(news.before_metrics.get(name)), _difference(news, name)] if is_beside else []),
        )
        for name, label in FIGURES.items()
        if name in news.metrics
    )
    beside = (f"version {news.before}, own slot", "change") if is_beside else ()
    return Grid("Figures on the holdout", ("figure", "value", "95 % interval", *beside), rows)


def _difference(news: VersionNews, name: str) -> str:
    before = news.before_metrics.get(name)
    return _percent(news.metrics[name] / before - 1) if before else ""


def _interval(metrics: Mapping[str, float], name: str) -> str:
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    return "" if low is None or high is None else f"{low:.4f} to {high:.4f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
