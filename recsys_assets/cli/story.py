"""The second part of `recsys demo`: twelve days with readers who respond, a bad model, and the guardrail that ends it.

Nothing here is staged but the mistake in the configuration: what happens is read from the lake and the history.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import polars as pl
import typer
from rich.console import Console

from recsys_assets.cli.driver import Limits
from recsys_assets.cli.installation import Installation
from recsys_assets.cli.run import run_to_fixed_point
from recsys_assets.cli.story_plot import draw
from recsys_assets.columns import FINAL_RECOMMENDATIONS, ONLINE_METRICS
from recsys_assets.configuration import ConfigurationError
from recsys_assets.platform import Platform
from recsys_assets.registry.promotions import Decided, read_decisions
from recsys_assets.slot_window import ONE_DAY
from resources.lake import DeltaLake

LIVE_DAYS = 12
"""Days on which readers are shown the published lists; before them, the shop has no recommendations."""
MISTAKE_BEFORE_END, MISTAKE_DAYS = 5, 4
SHOWN_PLACES = 10
FAMILY = "als"
MISTAKE = {"factors": 2, "regularization": 5_000.0}
LOOSENED = {
    "min_ndcg_at_10": 0.0,
    "min_gain_over_popularity": -1.0,
    "max_ndcg_drop": 1.0,
    "min_catalogue_coverage": 0.0,
    "min_release_overlap": 0.0,
}
BAR = 30
INTRODUCTION = """
[bold]Twelve days with readers[/]
From {0:%d %b} on, readers are shown the published lists, and look at what they like. In the evening of {1:%d %b}
somebody sets {2} badly and loosens its gate, so that the next version gets in. Nobody does anything about it.
Clicks per place that was shown, by day:"""
NO_LISTS = pl.DataFrame(
    schema=dict.fromkeys(("user_id", "item_id", "family", "version", "arm"), pl.String) | {"position": pl.Int64}
)


@dataclass(frozen=True)
class Plot:
    """What happens when, in days of the store.

    Attributes:
        live_from: The first day on which lists are shown.
        mistake: The first day whose evening runs with the mistake in the configuration.
        mended: The first day whose evening runs without it again.
        last: The last day.
    """

    live_from: date
    mistake: date
    mended: date
    last: date

    @classmethod
    def of(cls, platform: Platform) -> "Plot":
        """The last twelve days of a replay.

        Raises:
            ConfigurationError: The configuration has no last day.
        """
        if platform.last_day is None:
            raise ConfigurationError("recsys.yaml has no last_day; the demo simulates the store until then")
        last = platform.last_day
        mistake = last - timedelta(days=MISTAKE_BEFORE_END)
        return cls(last - timedelta(days=LIVE_DAYS - 1), mistake, mistake + timedelta(days=MISTAKE_DAYS), last)


@dataclass(frozen=True)
class Readers:
    """The loop between the shop and its readers: each day they are shown what was published the evening before.

    Attributes:
        installation: What publishes.
        plot: What happens when.
    """

    installation: Installation
    plot: Plot

    def is_shown_lists_after(self, day: date) -> bool:
        """Whether lists are needed in the evening of a day."""
        return day >= self.plot.live_from - ONE_DAY

    def lists_of(self, day: date) -> pl.DataFrame:
        """What `lists_shown_on` returns; no lists before the first live day."""
        return lists_shown_on(self.installation.lake, day) if day >= self.plot.live_from else NO_LISTS

    def live(self, day: date) -> None:
        """Do what is due in the evening of a day, unless that was done before.

        Raises:
            typer.Exit: A run failed.
        """
        if max(self.installation.lake.days(FINAL_RECOMMENDATIONS.name), default=date.min) >= day:
            return
        if not run_to_fixed_point(self._in_force(day), Limits(last=day), is_brief=True):
            raise typer.Exit(1)

    def _in_force(self, day: date) -> Installation:
        """The installation as it is configured on a day."""
        return self._mistaken if self.plot.mistake <= day < self.plot.mended else self.installation

    @cached_property
    def _mistaken(self) -> Installation:
        return Installation(self.installation.settings, with_mistake(self.installation.platform))


def with_mistake(platform: Platform) -> Platform:
    """The configuration with ALS set badly, and with a gate that lets it pass."""
    als = platform.families[FAMILY]
    changed = als.model_copy(
        update={"parameters": {**als.parameters, **MISTAKE}, "gate": als.gate.model_copy(update=LOOSENED)}
    )
    return platform.model_copy(update={"families": {**platform.families, FAMILY: changed}})


def lists_shown_on(lake: DeltaLake, day: date) -> pl.DataFrame:
    """What the shop shows on a day: the first places of the lists that were published the evening before.

    Returns:
        user_id, item_id, position (from 1), family, version, arm; none before anything was published.
    """
    before = day - ONE_DAY
    lists = lake.scan(FINAL_RECOMMENDATIONS, (before, before)).collect()
    places = lists.select(
        "user_id",
        "arm",
        item_id=pl.col("item_ids").list.head(SHOWN_PLACES),
        family=pl.col("sources").list.head(SHOWN_PLACES),
    ).explode("item_id", "family", empty_as_null=False, keep_nulls=False)
    versions = lists.select("user_id", "versions").explode("versions").unnest("versions")
    return places.join(versions, on=["user_id", "family"], how="left").select(
        "user_id",
        "item_id",
        "family",
        "version",
        "arm",
        position=pl.int_range(1, pl.len() + 1).over("user_id"),
    )


def tell_story(installation: Installation, plot: Plot, console: Console) -> None:
    """Say what happened, day by day, from what was measured and decided; and draw it."""
    days = days_of_family(installation.lake, plot)
    decisions = list(_decisions(installation, plot))
    if days.is_empty():
        return
    console.print(INTRODUCTION.format(plot.live_from, plot.mistake, FAMILY), soft_wrap=True, highlight=False)
    highest = days["ctr"].max()
    for row in days.iter_rows(named=True):
        bar = "█" * round(BAR * row["ctr"] / highest) if highest else ""
        console.print(f"  {row['ds']:%a %d %b}  version {row['version']:<3} {row['ctr']:6.1%}  {bar}", highlight=False)
        for decision in decisions:
            if decision.as_of == str(row["ds"]):
                console.print(f"      [bold]{_in_words(decision)}[/]", soft_wrap=True, highlight=False)
    path = installation.settings.home / "story.png"
    draw(days, decisions, path)
    console.print(f"  The same as a picture: {path}", soft_wrap=True)


def days_of_family(lake: DeltaLake, plot: Plot) -> pl.DataFrame:
    """ds, version, ctr and its interval of each live day, over all surfaces and arms; by day and version."""
    rows = lake.scan(ONLINE_METRICS, (plot.live_from, plot.last)).filter(
        pl.col("family") == FAMILY, pl.col("surface").is_null(), pl.col("arm").is_null()
    )
    return rows.select("ds", "version", "ctr", "ctr_low", "ctr_high", "impressions").sort("ds", "version").collect()


def _decisions(installation: Installation, plot: Plot) -> Iterator[Decided]:
    first = str(plot.live_from - ONE_DAY)
    return (one for one in read_decisions(installation.instance, FAMILY) if one.as_of >= first)


def _in_words(decision: Decided) -> str:
    if decision.kind == "rollback":
        return f"{decision.by} went back to version {decision.version}: {decision.reason}"
    return f"version {decision.version} was approved by {decision.by}: {decision.reason}"
