"""What the page of a day takes from the lake. What it takes from Dagster's history is in `dashboard_history`."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from recsys_assets.columns import (
    EVENTS,
    EXPERIMENTS,
    GUARDRAILS,
    INGESTED_FILES,
    INTERACTION_DAYS,
    ONLINE_DAYS,
    ONLINE_METRICS,
    POOLED,
    REJECTED_ROWS,
    SET_ASIDE_IMPRESSIONS,
    VERDICTS,
    report_table,
)
from recsys_assets.exposure import OnlineMetric
from recsys_assets.ingestion.api_files import fed_tables
from recsys_assets.monitoring.dashboard_data import (
    FIGURES,
    ArmFigure,
    Data,
    Estimate,
    ExperimentState,
    Guarded,
    Intake,
    IntakeDay,
    Judged,
    Online,
    OnlineRow,
    Refusal,
)
from recsys_assets.platform import Platform
from recsys_assets.slot_window import ONE_DAY, days_between
from resources.lake import Days, DeltaLake

SHOWN_DAYS = 28
WEEK = 7
REPORTED = ("ndcg_at_10", "ndcg_at_10_low", "ndcg_at_10_high", "recall_at_10", "catalogue_coverage")
REPORTED_SLOTS_DAYS = 120
"""Slots that are older are left to the Dagster UI."""
IMPRESSIONS_TABLE = "impressions"
_CONTROL: tuple[str, ...] = ("change", "always_low", "always_high")


def read_judged(lake: DeltaLake, platform: Platform, day: date) -> tuple[Judged, ...]:
    """The report on every version of the slots that had seen no later day, the oldest slot first."""
    slots = _slots(platform, day)
    judged = lake.scan(VERDICTS, slots).group_by("ds", "family", "version").agg(pl.col("passed").all()).collect()
    passed = {(slot, family, version): is_passed for slot, family, version, is_passed in judged.iter_rows()}
    found = []
    for family in (*platform.families, POOLED):
        reports = lake.scan(report_table(family, REPORTED), slots).collect()
        for row in sorted(reports.iter_rows(named=True), key=lambda row: _number(row["version"])):
            ndcg = _estimate(row, "ndcg_at_10")
            is_passed = passed.get((row["ds"], family, row["version"]))
            found.append(
                Judged(
                    family=family,
                    version=row["version"],
                    slot=row["ds"],
                    users=row["holdout_users"],
                    ndcg=ndcg,
                    recall=row["recall_at_10"],
                    coverage=row["catalogue_coverage"],
                    is_passed=is_passed,
                )
            )
    return tuple(sorted(found, key=lambda one: one.slot))


def read_refusals(lake: DeltaLake, platform: Platform, day: date) -> tuple[Refusal, ...]:
    """What the gate refused, the newest first, with a sentence for each check that was not passed."""
    failed = lake.scan(VERDICTS, _slots(platform, day)).filter(~pl.col("passed"))
    together = failed.sort("check").group_by("ds", "family", "version", maintain_order=True).agg("sentence")
    rows = together.sort("ds", "family", "version", descending=[True, False, True]).collect()
    return tuple(Refusal(family, version, slot, tuple(why)) for slot, family, version, why in rows.iter_rows())


def read_passed(lake: DeltaLake, platform: Platform, day: date) -> dict[tuple[str, str], tuple[date, frozenset[str]]]:
    """Family and version of what passed every check, to its slot and the checks."""
    verdicts = lake.scan(VERDICTS, _slots(platform, day)).group_by("ds", "family", "version")
    rows = verdicts.agg(pl.col("passed").all(), pl.col("check")).filter("passed").collect()
    return {(family, version): (slot, frozenset(checks)) for slot, family, version, _, checks in rows.iter_rows()}


def read_online(lake: DeltaLake, platform: Platform, day: date) -> Online:
    """The metrics of the last four weeks, over all surfaces and arms."""
    overall = pl.col("surface").is_null() & pl.col("arm").is_null()
    metrics = lake.scan(ONLINE_METRICS, _last(day)).filter(overall).sort("ds", "family", "version").collect()
    rows = tuple(_online_row(row) for row in metrics.iter_rows(named=True))
    newest = max((row.day for row in rows), default=day)
    reasons = lake.scan(SET_ASIDE_IMPRESSIONS, (newest, newest)).group_by("reason").agg(pl.col("impressions").sum())
    shown = lake.scan(ONLINE_DAYS, (newest, newest)).select(pl.col("impressions").sum()).collect().item()
    return Online(
        rows=rows,
        set_aside=dict(reasons.sort("reason").collect().iter_rows()),
        impressions=int(shown),
        is_fed=IMPRESSIONS_TABLE in platform.sources or bool(lake.days(ONLINE_DAYS.name)),
    )


def read_experiment(lake: DeltaLake, day: date) -> ExperimentState | None:
    """How the experiment stood that was counted last."""
    rows = lake.scan(EXPERIMENTS, _last(day)).filter(pl.col("ds") == pl.col("ds").max()).collect()
    if rows.is_empty():
        return None
    first = rows.row(0, named=True)
    return ExperimentState(
        name=first["experiment"],
        day=first["ds"],
        figures=tuple(_arm_figure(row) for row in rows.iter_rows(named=True)),
        mismatch=first["mismatch_p"],
        moved_users=first["moved_users"],
    )


def read_guarded(lake: DeltaLake, platform: Platform, day: date) -> tuple[Guarded, ...]:
    """What each guardrail said last, of every version that it judged then."""
    stored = lake.scan(GUARDRAILS, _last(day)).filter(pl.col("ds") == pl.col("ds").max().over("family"))
    rows = stored.sort("family", "version").collect()
    found = []
    for family, guardrail in platform.guardrails.items():
        judged = rows.filter(pl.col("family") == family)
        said = [_guarded(row, guardrail.allowed_drop, guardrail.action) for row in judged.iter_rows(named=True)]
        found += said or [_unjudged(family, guardrail.metric, guardrail.allowed_drop, guardrail.action)]
    return tuple(found)


def read_data(lake: DeltaLake, platform: Platform, day: date) -> Data:
    """What came in during the last four weeks."""
    days = _last(day)
    files = lake.scan(INGESTED_FILES, days).group_by("ds", "table").agg(pl.col("accepted", "rejected").sum()).collect()
    why = lake.scan(REJECTED_ROWS, (day, day)).group_by("table", "reason").len()
    reasons = why.sort("len", "reason", descending=[True, False]).collect()
    by_day = files.filter(pl.col("table") == EVENTS.key[-1]).select("ds", "accepted", "rejected").sort("ds")
    ingested = set(lake.scan(INTERACTION_DAYS, days).select("ds").collect()["ds"])
    return Data(
        tables=tuple(
            _intake(table, files.filter(pl.col("table") == table), reasons.filter(pl.col("table") == table), day)
            for table in fed_tables(platform)
        ),
        by_day=tuple(IntakeDay(*row) for row in by_day.iter_rows()),
        missing=tuple(one for one in days_between(max(days[0], platform.first_day), day) if one not in ingested),
    )


def _slots(platform: Platform, day: date) -> Days:
    """The slots that had seen no later day than `day`; on the last day of a replay, whatever follows it too."""
    is_over = platform.last_day is not None and day >= platform.last_day
    return day - timedelta(days=REPORTED_SLOTS_DAYS), date.max if is_over else day + ONE_DAY


def _last(day: date) -> Days:
    return day - timedelta(days=SHOWN_DAYS - 1), day


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0


def _estimate(row: Mapping[str, Any], name: str) -> Estimate | None:
    value = row[name]
    return None if value is None else Estimate(value, row[f"{name}_low"], row[f"{name}_high"])


def _online_row(row: Mapping[str, Any]) -> OnlineRow:
    figures = {name: _estimate(row, name) for name in FIGURES}
    return OnlineRow(
        day=row["ds"],
        family=row["family"],
        version=row["version"],
        is_final=row["is_final"],
        impressions=row["impressions"],
        users=row["users"],
        figures={name: one for name, one in figures.items() if one is not None},
    )


def _arm_figure(row: Mapping[str, Any]) -> ArmFigure:
    change, low, high = (row[name] for name in _CONTROL)
    return ArmFigure(
        arm=row["arm"],
        share=row["share"],
        users=row["users"],
        metric=row["metric"],
        value=None if row["value"] is None else Estimate(row["value"], row["low"], row["high"]),
        change=None if change is None else Estimate(change, low, high),
        verdict=row["verdict"] or "",
    )


def _guarded(row: Mapping[str, Any], allowed_drop: float, action: str) -> Guarded:
    change = row["change"]
    return Guarded(
        family=row["family"],
        version=row["version"],
        metric=row["metric"],
        state=row["state"],
        is_in_question=row["is_in_question"],
        change=None if change is None else Estimate(change, row["change_low"], row["change_high"]),
        allowed_drop=allowed_drop,
        action=action,
        sentence=row["sentence"],
        day=row["ds"],
    )


def _unjudged(family: str, metric: OnlineMetric, allowed_drop: float, action: str) -> Guarded:
    sentence = "no day with enough impressions and users yet"
    return Guarded(
        family=family,
        version="",
        metric=metric,
        state="too early",
        is_in_question=False,
        change=None,
        allowed_drop=allowed_drop,
        action=action,
        sentence=sentence,
        day=None,
    )


def _intake(table: str, files: pl.DataFrame, reasons: pl.DataFrame, day: date) -> Intake:
    """What came in for a table.

    Args:
        table: Which table.
        files: ds, table, accepted, rejected: its rows of the last four weeks.
        reasons: table, reason, len: of the day.
        day: The day of the page.
    """
    of_day, before = files.filter(pl.col("ds") == day), files.filter(pl.col("ds") < day)
    share = before.select((pl.col("rejected") / (pl.col("accepted") + pl.col("rejected"))).fill_nan(0.0).median())
    came = files.filter(pl.col("accepted") > 0)["ds"].to_list()
    week = set(days_between(day - timedelta(days=WEEK), day - ONE_DAY))
    return Intake(
        table=table,
        newest=max(came, default=None),
        accepted=int(of_day["accepted"].sum()),
        rejected=int(of_day["rejected"].sum()),
        usual_rejected=share.item(),
        reasons=dict(reasons.select("reason", "len").iter_rows()),
        is_daily=week <= set(came),
    )
