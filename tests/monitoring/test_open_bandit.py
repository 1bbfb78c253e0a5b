"""Real logs of an A/B test, from the files through mapping, ingestion and the assets to metrics and estimates."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from recsys_assets.columns import IMPRESSIONS, INGESTED_FILES, ONLINE_DAYS, ONLINE_METRICS, POOLED, USER_OUTCOMES
from recsys_assets.definitions import build_definitions
from recsys_assets.monitoring.off_policy import estimate, item_frequencies, with_targets
from recsys_assets.monitoring.shown import stale_days
from recsys_assets.platform import Platform
from resources.lake import DeltaLake
from resources.settings import Settings
from resources.wiring import build_resources

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "open_bandit" / "impressions.parquet"
FIRST, LAST = date(2019, 11, 24), date(2019, 11, 30)
CLICKS = {"all": (38, 42), "men": (46, 69), "women": (46, 46)}
"""Campaign to the clicks of the policies random and bts, of 10,000 impressions each."""

pytestmark = pytest.mark.skipif(not DATA.is_file(), reason="needs the Open Bandit logs in shared/data")


def platform() -> Platform:
    impressions = {
        "path": "{date}.parquet",
        "format": "parquet",
        "columns": {
            "request_id": "timestamp",
            "item_id": "item_id",
            "position": "position",
            "shown_at": "timestamp",
            "surface": "campaign",
            "arm": "policy",
            "is_clicked": "click",
            "propensity": "propensity_score",
        },
    }
    events = {
        "path": "events/{date}.csv",
        "columns": {"user_id": "user", "item_id": "item", "occurred_at": "at"},
        "event_type": {"default": "view"},
    }
    return Platform.model_validate(
        {
            "first_day": FIRST,
            "last_day": LAST,
            "sources": {"events": events, "impressions": impressions},
            "families": {"popularity": {}},
        }
    )


@dataclass(frozen=True)
class Measured:
    """A lake on which all days are measured."""

    lake: DeltaLake
    platform: Platform

    @property
    def metrics(self) -> pl.DataFrame:
        return self.lake.scan(ONLINE_METRICS).collect()

    def log(self, campaign: str, policy: str) -> pl.DataFrame:
        rows = self.lake.scan(IMPRESSIONS).filter(surface=campaign, arm=policy).collect()
        return rows.with_columns(unit="request_id")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    home = tmp_path_factory.mktemp("bandit")
    landing = home / "landing"
    landing.mkdir()
    rows = pl.read_parquet(DATA).drop("user_item_affinity")
    for (day,), of_day in rows.group_by(pl.col("timestamp").dt.date()):
        of_day.write_parquet(landing / f"{day}.parquet")
    settings = Settings(home=home, lake=str(home / "lake"), landing=str(landing))
    definitions = build_definitions(platform(), build_resources(settings))
    tags = {"dagster/asset_partition_range_start": str(FIRST), "dagster/asset_partition_range_end": str(LAST)}
    with dg.DagsterInstance.ephemeral() as instance:
        for job in ("ingest", "monitor"):
            assert definitions.resolve_job_def(job).execute_in_process(instance=instance, tags=tags).success
    return Measured(DeltaLake(root=settings.lake), platform())


def test_every_impression_is_taken_in(measured: Measured) -> None:
    counts = measured.lake.scan(INGESTED_FILES).filter(table="impressions").collect()
    assert counts.select("parsed", "accepted", "rejected", "folded").sum().row(0) == (60_000, 60_000, 0, 0)
    days = measured.lake.scan(ONLINE_DAYS).sort("ds").collect()
    assert days.select("impressions", "counted").sum().row(0) == (60_000, 60_000)
    assert days["is_final"].to_list() == [True] * 6 + [False]  # the day after the last one is not there
    assert stale_days(measured.lake, measured.platform) == {}


@pytest.mark.parametrize("campaign", CLICKS)
def test_clicks_by_policy_and_campaign_are_those_that_are_known(measured: Measured, campaign: str) -> None:
    found = measured.metrics.filter(surface=campaign).group_by("arm").agg(pl.col("impressions", "clicks").sum())
    clicks = dict(zip(("random", "bts"), CLICKS[campaign], strict=True))
    assert dict(found.select("arm", "clicks").iter_rows()) == clicks
    assert found["impressions"].to_list() == [10_000, 10_000]


def test_each_rate_lies_inside_its_interval_and_nobody_is_named(measured: Measured) -> None:
    rows = measured.metrics
    assert set(rows["family"]) == {POOLED}
    assert rows["users"].sum() == 0  # the logs name nobody: requests are the units
    assert (rows["ctr"] == (rows["clicks"] / rows["impressions"]).round_sig_figs(10)).all()
    assert rows.select(pl.col("ctr").is_between("ctr_low", "ctr_high").all()).item()
    assert (rows["ctr_high"] > rows["ctr_low"]).all()
    assert rows["coverage"].null_count() == rows.height  # there is no catalogue
    assert measured.lake.scan(USER_OUTCOMES).collect().is_empty()


def test_over_all_campaigns_and_policies_a_day_adds_up(measured: Measured) -> None:
    by_surface = measured.metrics.filter(pl.col("surface").is_not_null()).group_by("ds").agg(pl.col("clicks").sum())
    over_all = measured.metrics.filter(pl.col("arm").is_null()).select("ds", "clicks")
    assert by_surface.sort("ds").equals(over_all.sort("ds"))
    assert over_all["clicks"].sum() == sum(sum(pair) for pair in CLICKS.values())


@pytest.mark.parametrize("campaign", CLICKS)
def test_the_random_log_says_what_the_other_policy_really_got(measured: Measured, campaign: str) -> None:
    shown = measured.log(campaign, "bts")
    truth = shown["is_clicked"].mean()
    found = estimate(with_targets(measured.log(campaign, "random"), item_frequencies(shown)))
    assert truth == pytest.approx(CLICKS[campaign][1] / 10_000)
    for figure in (found.ips, found.snips):
        assert figure.low < truth < figure.high
        assert figure.high - figure.low < 0.01
    assert found.logged.value == pytest.approx(CLICKS[campaign][0] / 10_000)
    assert 1_000 < found.effective < 10_000
    assert found.clipped == 0
