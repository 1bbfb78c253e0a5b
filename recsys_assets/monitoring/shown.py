"""What was shown on a day, and what came of it, read from the lake: the metrics and the estimates begin with it."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import narwhals as nw
import polars as pl

from recsys_assets.columns import EVENTS, IMPRESSIONS, INGESTED_FILES, INTERACTION_DAYS, ONLINE_DAYS, USERS, USERS_SEEN
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.views.genuine import without_machines
from recsys_assets.monitoring.attribution import Credited, Crediting, credit, last_day_credited
from recsys_assets.monitoring.counting import Judgement, judgement, named
from recsys_assets.platform import Platform
from recsys_assets.slot_window import ONE_DAY, days_between
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

MEANING = "1"
"""Changes whenever the same impressions and events would give other metrics."""


@dataclass(frozen=True)
class Shown:
    """What was shown on a day.

    Attributes:
        day: The day.
        impressions: All of them, as in `sources/impressions`.
        judgement: Which of them count.
        credited: What they earned, whether they count or not.
    """

    day: date
    impressions: pl.LazyFrame
    judgement: Judgement
    credited: Credited

    @property
    def counted(self) -> pl.LazyFrame:
        """The impressions that count."""
        return self.judgement.counted(self.impressions)

    @property
    def hits(self) -> pl.DataFrame:
        """What those that count earned, as `attribution.Credited` has it."""
        return self.judgement.counted(self.credited.hits.lazy()).collect()


def read_shown(platform: Platform, lake: DeltaLake, registry: ModelRegistry, day: date) -> Shown:
    """Read a day, and credit whatever has happened since."""
    days = (day, last_day_credited(platform, day))
    impressions = lake.scan(IMPRESSIONS, (day, day))
    brought = named(impressions)
    known = known_versions(registry, brought["family"].drop_nulls().unique())
    return Shown(
        day=day,
        impressions=impressions,
        judgement=judgement(brought, known, not_customers(platform, lake, day)),
        credited=credit(lake.scan(IMPRESSIONS, days), lake.scan(EVENTS, days), day, Crediting.configured(platform)),
    )


def known_versions(registry: ModelRegistry, families: Iterable[str]) -> dict[str, Collection[str]]:
    """Family to the versions that the registry has of it; what cannot be the name of a family has none."""
    possible = (family for family in families if family.isidentifier())
    return {family: {str(one.version) for one in registry.versions(family)} for family in possible}


def not_customers(platform: Platform, lake: DeltaLake, day: date) -> pl.Series:
    """Users whom the business rules drop: test accounts and machines, as known at the end of a day."""
    known = FeatureStore(platform, lake, PolarsEngine()).known(day)  # the impressions are Polars frames in any case
    users = nw.concat([known.state(USERS).select("user_id"), known.total(USERS_SEEN).select("user_id")]).unique()
    customers = without_machines(known, users).frame
    dropped: pl.LazyFrame = users.join(customers, on="user_id", how="anti").to_native()
    return dropped.collect()["user_id"]


def ingested_contents(lake: DeltaLake) -> dict[date, str]:
    """Ingested day to the fingerprint of the files that its impressions and events came from; empty without any."""
    fed = [table.key[-1] for table in (EVENTS, IMPRESSIONS)]
    content = pl.coalesce("content", "landing_fingerprint")
    named_contents = pl.concat_str("table", "source_file", content, separator=" ", ignore_nulls=True)
    files = lake.scan(INGESTED_FILES).filter(pl.col("table").is_in(fed)).group_by("ds")
    found = dict(files.agg(named_contents.sort().str.join("\n")).collect().iter_rows())
    days = lake.scan(INTERACTION_DAYS).select("ds").collect()["ds"]
    return {day: found.get(day, "") for day in days}


def is_final(platform: Platform, contents: Mapping[date, str], day: date) -> bool:
    """Whether every day on which anything may be credited to a day is ingested.

    Args:
        platform: The configuration.
        contents: As `ingested_contents` returns them.
        day: The day.
    """
    return all(one in contents for one in days_between(day, last_day_credited(platform, day)))


def made_of(platform: Platform, contents: Mapping[date, str], day: date) -> str:
    """A fingerprint of what the metrics of a day are made of; as long as the day is not final, of what there is."""
    rules = [platform.rules.refunds_take_back, platform.rules.drop_test_accounts, platform.rules.bots]
    settings = [platform.monitoring, *(rule for rule in rules if rule is not None)]
    written = [one.model_dump(mode="json") if hasattr(one, "model_dump") else one for one in settings]
    days = [contents.get(one, "") for one in days_between(day, last_day_credited(platform, day))]
    return hashlib.sha256(json.dumps([MEANING, platform.time_zone, written, days]).encode()).hexdigest()[:16]


def stale_days(lake: DeltaLake, platform: Platform) -> dict[date, str]:
    """Days whose metrics are missing, or are made of something else by now: the day to what it is to be made of.

    So a day is measured when it is ingested, again when the days after it are, until it is final, and whenever a late
    file changes one of them. A day without impressions has no metrics.
    """
    contents = ingested_contents(lake)
    recorded = dict(lake.scan(ONLINE_DAYS).select("ds", "made_of").collect().iter_rows())
    shown = set(lake.days(IMPRESSIONS.name)) & set(contents)
    now = {day: made_of(platform, contents, day) for day in sorted(shown | set(recorded))}
    return {day: origin for day, origin in now.items() if recorded.get(day) != origin}


def eligible_items(platform: Platform, lake: DeltaLake, day: date) -> pl.Series:
    """Ids of the items that could be recommended to somebody on a day."""
    store = FeatureStore(platform, lake, PolarsEngine())
    return store.read("eligible_items", day - ONE_DAY)["item_id"]
