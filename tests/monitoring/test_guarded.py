"""Guardrails and experiments on stored tables: the check on the online metrics, and the asset of experiments."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from recsys_assets.columns import EXPERIMENTS, GUARDRAILS, ONLINE_METRICS, USER_OUTCOMES
from recsys_assets.definitions import build_definitions
from recsys_assets.exposure import Arm, Experiment, Guardrail
from recsys_assets.monitoring.checks import build_checks, check_name
from recsys_assets.monitoring.experiment_assets import build_assets
from recsys_assets.monitoring.guarded import as_rows, judgements
from recsys_assets.partitions import day_partitions
from recsys_assets.platform import FamilySettings, Platform
from resources.lake import DeltaLake
from resources.settings import Settings
from resources.wiring import build_resources

MetricRows = Callable[..., pl.DataFrame]
FIRST = date(2026, 1, 5)
LAST = FIRST + timedelta(33)
EXPERIMENT = Experiment(
    first_day=FIRST + timedelta(28),
    arms={"control": Arm(share=0.5), "newest": Arm(share=0.5, versions={"als": 2})},
)


@pytest.fixture
def platform(tiny_platform: Platform) -> Platform:
    families = {**tiny_platform.families, "als": FamilySettings()}
    guardrails = {"als": Guardrail(min_impressions=500, min_users=50)}
    return tiny_platform.model_copy(update={"families": families, "guardrails": guardrails})


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(root=str(tmp_path))


def store_metrics(lake: DeltaLake, metric_rows: MetricRows, change: float) -> None:
    """28 days of version 1, then six of version 2."""
    rates = [0.05] * 28 + [0.05 * (1 + change)] * 6
    rows = metric_rows(np.random.default_rng(0), rates, version=["1"] * 28 + ["2"] * 6)
    lake.replace(ONLINE_METRICS, rows, (FIRST, LAST))


def store_outcomes(lake: DeltaLake, rates: dict[tuple[str, str], float], family: str = "als") -> None:
    """Six days of the experiment: (arm, version) to its click-through rate."""
    rng, users = np.random.default_rng(0), 600
    parts = []
    for day in range(28, 34):
        for (arm, version), rate in rates.items():
            frame = pl.DataFrame({"user_id": [f"{arm}{user}" for user in range(users)]}).with_columns(
                ds=pl.lit(FIRST + timedelta(day)),
                arm=pl.lit(arm),
                family=pl.lit(family),
                version=pl.lit(version if family == "als" else None, pl.String),
                impressions=pl.lit(10),
                clicks=pl.Series(rng.binomial(10, rate, users)),
            )
            zeros = [name for name in USER_OUTCOMES.schema.names() if name not in frame.columns]
            full = frame.with_columns(pl.lit(0).alias(name) for name in zeros)
            parts.append(full.select(USER_OUTCOMES.schema.names()).cast(USER_OUTCOMES.schema))
    lake.replace(USER_OUTCOMES, pl.concat(parts), (FIRST, LAST))


def checked(platform: Platform, lake: DeltaLake, days: tuple[date, date]) -> Any:
    """The evaluation of the check, in a run that materializes the metrics of some days."""

    @dg.asset(
        key=dg.AssetKey(ONLINE_METRICS.key),
        partitions_def=day_partitions(platform),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def online_metrics() -> None:
        """They are stored already."""

    tags = {f"dagster/asset_partition_range_{end}": str(day) for end, day in zip(("start", "end"), days, strict=True)}
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize(
            [online_metrics, *build_checks(platform)],
            instance=instance,
            resources={"lake": lake},
            **({"tags": tags} if days[0] < days[1] else {"partition_key": str(days[0])}),
        )
    (evaluation,) = run.get_asset_check_evaluations()
    return evaluation


@pytest.mark.parametrize("days", [(LAST, LAST), (FIRST, LAST)], ids=["one day", "a backfill"])
def test_the_check_fails_with_what_was_seen_and_expected_when_a_metric_has_left_its_range(
    platform: Platform, lake: DeltaLake, metric_rows: MetricRows, days: tuple[date, date]
) -> None:
    store_metrics(lake, metric_rows, -0.3)
    found = checked(platform, lake, days)
    assert (found.check_name, found.passed, found.blocking) == (check_name("als"), False, False)
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert "als version 2, ctr" in found.description
    numbers = {name: value.value for name, value in found.metadata.items()}
    assert numbers["version 2: decision"] == "below"
    assert numbers["version 2: actual"] == pytest.approx(0.035, abs=0.002)
    assert numbers["version 2: baseline"] == pytest.approx(0.05, abs=0.002)
    assert numbers["version 2: change, low end"] < -0.3 < numbers["version 2: change, high end"] < -0.1


def test_judgements_are_rows_of_their_table(platform: Platform, lake: DeltaLake, metric_rows: MetricRows) -> None:
    store_metrics(lake, metric_rows, -0.3)
    lake.replace(GUARDRAILS, as_rows(judgements(lake, platform, "als", LAST), LAST), (LAST, LAST))
    (row,) = lake.scan(GUARDRAILS).collect().iter_rows(named=True)
    assert (row["version"], row["state"], row["is_in_question"]) == ("2", "below", False)
    assert row["change_low"] < row["change"] < row["change_high"] < -0.1
    assert as_rows([], LAST).is_empty()


def test_the_check_passes_inside_the_range_and_on_days_before_the_fall(
    platform: Platform, lake: DeltaLake, metric_rows: MetricRows
) -> None:
    store_metrics(lake, metric_rows, -0.3)
    before = FIRST + timedelta(27)
    assert checked(platform, lake, (before, before)).passed
    store_metrics(lake, metric_rows, 0.0)
    assert checked(platform, lake, (LAST, LAST)).passed


def test_the_check_passes_without_a_day_to_judge(platform: Platform, lake: DeltaLake) -> None:
    found = checked(platform, lake, (FIRST, LAST))
    assert found.passed
    assert "nothing to judge" in found.description


def test_versions_that_serve_different_arms_are_held_against_each_other(
    platform: Platform, lake: DeltaLake, metric_rows: MetricRows
) -> None:
    """The days say nothing: nobody has been shown als before."""
    trying = platform.model_copy(update={"experiments": {"newest": EXPERIMENT}})
    rng = np.random.default_rng(0)
    parts = [
        metric_rows(rng, [0.05] * 34, version=version).filter(pl.col("ds") >= EXPERIMENT.first_day) for version in "12"
    ]
    lake.replace(ONLINE_METRICS, pl.concat(parts), (FIRST, LAST))
    store_outcomes(lake, {("control", "1"): 0.06, ("newest", "2"): 0.03})
    control, newest = judgements(lake, trying, "als", LAST)
    assert (control.version, control.state) == ("1", "inside")
    assert (newest.version, newest.state) == ("2", "below")
    assert newest.arms is not None
    assert newest.arms.change == pytest.approx(-0.5, abs=0.1)
    assert "the other arms" in newest.sentence


def test_arms_that_all_get_the_same_version_are_no_comparison(
    platform: Platform, lake: DeltaLake, metric_rows: MetricRows
) -> None:
    trying = platform.model_copy(update={"experiments": {"newest": EXPERIMENT}})
    store_metrics(lake, metric_rows, 0.0)
    store_outcomes(lake, {("control", "2"): 0.06, ("newest", "2"): 0.03})
    (found,) = judgements(lake, trying, "als", LAST)
    assert (found.arms, found.state) == (None, "inside")


def test_the_state_of_the_experiment_is_stored_for_each_of_its_days(platform: Platform, lake: DeltaLake) -> None:
    trying = platform.model_copy(update={"experiments": {"newest": EXPERIMENT}})
    store_outcomes(lake, {("control", "1"): 0.05, ("newest", "2"): 0.08}, family="final")
    before = EXPERIMENT.first_day - timedelta(1)
    ends = {"start": before, "end": LAST}
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {f"dagster/asset_partition_range_{end}": str(day) for end, day in ends.items()}
        assert dg.materialize(build_assets(trying), instance=instance, resources={"lake": lake}, tags=tags).success
    rows = lake.scan(EXPERIMENTS).filter(pl.col("metric") == "ctr", pl.col("arm") == "newest").collect().sort("ds")
    assert rows["ds"].to_list() == [EXPERIMENT.first_day + timedelta(day) for day in range(6)]
    assert rows["verdict"].to_list()[-1] == "higher"
    widths = (rows["always_high"] - rows["always_low"]).to_list()
    assert widths == sorted(widths, reverse=True)
    assert build_assets(platform) == []


def test_a_platform_with_guardrails_and_an_experiment_loads(platform: Platform) -> None:
    trying = platform.model_copy(update={"experiments": {"newest": EXPERIMENT}})
    definitions = build_definitions(
        trying, build_resources(Settings(home=Path("home"), lake="lake", landing="landing"))
    )
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    assert dg.AssetCheckKey(dg.AssetKey(ONLINE_METRICS.key), check_name("als")) in graph.asset_check_keys
    assert dg.AssetKey(EXPERIMENTS.key) in graph.get_all_asset_keys()
