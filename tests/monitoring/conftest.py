"""Days of a shop whose click-through rate is known, and pages that say how it stands."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys_assets.columns import ONLINE_METRICS
from recsys_assets.monitoring.dashboard_data import (
    ArmFigure,
    Dashboard,
    Data,
    Decision,
    Estimate,
    ExperimentState,
    Gate,
    Guarded,
    InProduction,
    Intake,
    IntakeDay,
    Judged,
    Online,
    OnlineRow,
    Publication,
    Refusal,
)

HTML = '<script>alert("x")</script>'
FIRST = date(2026, 1, 5)
MetricRows = Callable[..., pl.DataFrame]


@pytest.fixture(scope="session")
def metric_rows() -> MetricRows:
    """Makes rows of `monitoring/online_metrics` over all surfaces and arms, for one family."""

    def rows(rng: np.random.Generator, rates: list[float], **changes: Any) -> pl.DataFrame:
        """One day for each rate, from `FIRST` on.

        Args:
            rng: Of the noise.
            rates: The expected click-through rate of each day.
            changes: version (a list of one a day, or one), family, users, noise (of a day, relative), is_final.
        """
        given = {"family": "als", "version": "1", "users": 2_000, "noise": 0.03, "is_final": True, **changes}
        days, users = len(rates), np.broadcast_to(given["users"], len(rates)).astype(np.int64)
        shown = users * 10
        clicks = rng.binomial(shown, np.clip(np.array(rates) * np.exp(rng.normal(0, given["noise"], days)), 0, 1))
        ctr = clicks / shown
        frame = pl.DataFrame(
            {
                "ds": [FIRST + timedelta(day) for day in range(days)],
                "family": [given["family"]] * days,
                "version": given["version"] if isinstance(given["version"], list) else [given["version"]] * days,
                "is_final": np.broadcast_to(given["is_final"], days),
                "users": users,
                "impressions": shown,
                "requests": users,
                "clicks": clicks,
                "ctr": ctr,
                "ctr_se": np.sqrt(ctr * (1 - ctr) / shown) * 1.3,
            }
        )
        missing = [name for name in ONLINE_METRICS.schema.names() if name not in frame.columns]
        needed = ONLINE_METRICS.required
        full = frame.with_columns(pl.lit(0 if name in needed else None).alias(name) for name in missing)
        return full.select(ONLINE_METRICS.schema.names()).cast(ONLINE_METRICS.schema)

    return rows


@pytest.fixture(scope="session")
def empty_page() -> Dashboard:
    """The first day of a shop: nothing has come, and nothing is approved."""
    return Dashboard(
        day=date(2026, 3, 14),
        is_replay=False,
        families=("popularity", "als"),
        production=(InProduction("popularity", 0.0), InProduction("als", 1.0)),
        judged=(),
        online=Online(),
        experiment=None,
        guarded=(),
        gate=Gate(),
        data=Data(tables=(Intake("events", None, 0, 0, None, {}, is_daily=False),)),
        publications=(),
    )


@pytest.fixture(scope="session")
def calm_page(empty_page: Dashboard) -> Dashboard:
    """A day on which nothing needs anybody."""
    day = empty_page.day
    since = datetime(2026, 3, 13, 9, 30, tzinfo=UTC)
    served = {"slot": date(2026, 3, 13), "seen_through": date(2026, 3, 12), "days_behind": 2, "since": since}
    return replace(
        empty_page,
        production=(
            InProduction("popularity", 0.0, version=3, **served),
            InProduction("als", 1.0, version=5, by="the gate", reason="passed every check of the gate", **served),
        ),
        judged=tuple(
            Judged(family, version, slot, 900, Estimate(ndcg, ndcg - 0.02, ndcg + 0.02), 0.2, 0.5, is_passed=passed)
            for family, passed in (("als", True), ("final", None))
            for version, slot, ndcg in (("4", date(2026, 3, 11), 0.12), ("5", date(2026, 3, 13), 0.13))
        ),
        online=Online(
            rows=tuple(
                OnlineRow(
                    day=day - timedelta(days=back),
                    family=family,
                    version=("5" if back < 2 else "4") if family == "als" else None,
                    is_final=back > 0,
                    impressions=5_000,
                    users=500,
                    figures={"ctr": Estimate(0.1 - back / 1_000, 0.08, 0.12), "ndcg": Estimate(0.5, 0.4, 0.6)},
                )
                for back in range(9, -1, -1)
                for family in ("als", "final")
            ),
            set_aside={},
            impressions=5_000,
            is_fed=True,
        ),
        guarded=(
            Guarded(
                family="als",
                version="5",
                metric="ctr",
                state="inside",
                is_in_question=False,
                change=Estimate(-0.02, -0.1, 0.05),
                allowed_drop=0.1,
                action="rollback",
                sentence="als version 5, ctr: 0.1",
                day=day,
            ),
        ),
        gate=Gate(decisions=(Decision("als", "promotion", 5, 4, date(2026, 3, 12), "the gate", "passed"),)),
        data=Data(
            tables=(Intake("events", day, 990, 10, 0.01, {"bad_quantity": 7, "duplicate": 3}, is_daily=True),),
            by_day=tuple(IntakeDay(day - timedelta(days=back), 900 + back, 10) for back in range(27, -1, -1)),
        ),
        publications=(
            Publication(day, "20260314-9", 400, {"als": "5", "popularity": "3"}, since, 0.4),
            Publication(day - timedelta(days=1), "20260313-8", 410, {"als": "4", "popularity": "3"}, since, 0.4),
        ),
    )


@pytest.fixture(scope="session")
def busy_page(calm_page: Dashboard) -> Dashboard:
    """A day on which everything needs somebody, and names are as odd as people make them."""
    day = calm_page.day
    arms = [("control", None, ""), ("bold", Estimate(0.2, 0.05, 0.4), "higher"), ("shy", Estimate(-0.1), "open")]
    return replace(
        calm_page,
        production=(InProduction("popularity", 0.0), *calm_page.production[1:]),
        online=replace(calm_page.online, set_aside={"unknown_version": 900}),
        experiment=ExperimentState(
            name="spring",
            day=day,
            figures=tuple(
                ArmFigure(arm, 1 / 3, 1_000, metric, Estimate(0.1, 0.09, 0.11), change, verdict)
                for metric in ("ctr", "revenue_per_impression")
                for arm, change, verdict in arms
            ),
            mismatch=0.4,
            moved_users=12,
        ),
        guarded=(replace(calm_page.guarded[0], state="below", change=Estimate(-0.4, -0.5, -0.3)),),
        gate=Gate(
            refusals=(Refusal("als", "6", date(2026, 3, 13), (f"{HTML} is below 0.9", "too few users")),),
            waiting=(("als", "7"),),
            decisions=(
                Decision("als", "rollback", 4, 5, day - timedelta(days=1), "the guardrail", HTML, is_by_guardrail=True),
                *calm_page.gate.decisions,
            ),
        ),
        data=replace(
            calm_page.data,
            tables=(Intake("events", day, 500, 500, 0.01, {"bad_quantity": 500}, is_daily=True),),
            missing=(day - timedelta(days=3),),
        ),
        publications=calm_page.publications[1:],
    )
