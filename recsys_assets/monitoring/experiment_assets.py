"""The asset `monitoring/experiments`: how the running experiment stood after each day."""

from datetime import date

import dagster as dg
import polars as pl

from recsys_assets.columns import EXPERIMENTS, USER_OUTCOMES
from recsys_assets.experiments import running_experiment
from recsys_assets.monitoring.experiment_report import as_rows, report_on_experiment
from recsys_assets.partitions import day_partitions
from recsys_assets.platform import Platform
from recsys_assets.presentation import day_range, described, written
from recsys_assets.slot_window import days_between
from resources.lake import DeltaLake


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """The asset, where an experiment is configured."""
    return [_experiments(platform)] if platform.experiments else []


def _experiments(platform: Platform) -> dg.AssetsDefinition:
    @dg.asset(
        **described(EXPERIMENTS),
        partitions_def=day_partitions(platform),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[dg.AssetKey(USER_OUTCOMES.key)],
        kinds={"deltalake", "polars"},
    )
    def experiments(context: dg.AssetExecutionContext, lake: DeltaLake) -> dg.MaterializeResult:
        days = day_range(context)
        rows = pl.concat([_rows(platform, lake, day) for day in days_between(*days)])
        delta = lake.replace(EXPERIMENTS, rows, days)
        certain = rows.filter(pl.col("verdict").is_in(["higher", "lower"]), pl.col("ds") == days[1])
        return written(lake, EXPERIMENTS, rows, delta, certain_differences=certain.height)

    return experiments


def _rows(platform: Platform, lake: DeltaLake, day: date) -> pl.DataFrame:
    """Rows of one day; none on a day without an experiment."""
    running = running_experiment(platform, day)
    if running is None:
        return pl.DataFrame(schema=EXPERIMENTS.schema)
    experiment = platform.experiments[running]
    outcomes = lake.scan(USER_OUTCOMES, (experiment.first_day, day))
    return as_rows(report_on_experiment(running, experiment, outcomes, day), day)
