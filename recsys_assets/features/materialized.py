"""Which days are stored, and what they were made of: written last by the assets, read by the decisions."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date

import polars as pl

from recsys_assets.columns import INGESTED_FILES, INTERACTION_DAYS, VIEW_DAYS
from recsys_assets.features.specification import made_of
from recsys_assets.features.view import FeatureView
from recsys_assets.platform import Platform
from recsys_assets.slot_window import days_between
from resources.lake import Days, DeltaLake

MIXED = "mixed"


def day_contents(lake: DeltaLake) -> dict[date, str]:
    """Ingested day to the fingerprint of what had landed for it."""
    content = pl.coalesce("content", "landing_fingerprint")  # a lake of an older version has only the latter
    return dict(lake.scan(INTERACTION_DAYS).select("ds", content).collect().iter_rows())


def record_interactions(lake: DeltaLake, platform: Platform, days: Days) -> None:
    """Write the state of the landing that the sources of each day came from.

    Tables that were ingested from different states give none of them, so that the day is ingested as a whole.
    """
    fingerprint = pl.col("landing_fingerprint")
    content = pl.concat_str("table", "source_file", pl.col("content").fill_null(""), separator=" ")
    files = (
        lake.scan(INGESTED_FILES, days)
        .filter(pl.col("table").is_in(list(platform.sources)))
        .group_by("ds")
        .agg(
            pl.when(fingerprint.n_unique() == 1).then(fingerprint.first()).otherwise(pl.lit(MIXED)),
            content.sort().str.join("\n").alias("content"),
        )
        .collect()
    )
    calendar = pl.DataFrame({"ds": days_between(*days)}, schema={"ds": pl.Date})
    rows = calendar.join(files, on="ds", how="left").with_columns(
        pl.col("landing_fingerprint").fill_null(""),
        pl.col("content").fill_null(""),
    )
    digests = [hashlib.sha256(content.encode()).hexdigest()[:16] for content in rows["content"]]
    rows = rows.with_columns(pl.Series("content", digests, dtype=pl.String))
    lake.replace(INTERACTION_DAYS, rows.select(INTERACTION_DAYS.schema.names()), days)


def record_view(
    lake: DeltaLake, platform: Platform, view: FeatureView, days: Days, contents: Mapping[date, str]
) -> None:
    """Write what each day of a snapshot view was made of: the contents as they were before it was computed."""
    origins = made_of(view, platform, contents, days_between(*days))
    rows = pl.DataFrame(
        [(day, view.name, origin) for day, origin in origins.items()], schema=VIEW_DAYS.schema, orient="row"
    )
    lake.replace(VIEW_DAYS, rows, days, where={"view": view.name})


def stale_days(lake: DeltaLake, platform: Platform, views: Iterable[FeatureView]) -> dict[str, dict[date, str]]:
    """View to the stored days that are made of something else by now, and of what."""
    contents = day_contents(lake)
    recorded = lake.scan(VIEW_DAYS).select("view", "ds", "made_of").collect()
    stale = {}
    for view in views:
        stored = dict(recorded.filter(view=view.name).select("ds", "made_of").iter_rows())
        now = made_of(view, platform, contents, stored)
        days = {day: now[day] for day, origin in stored.items() if now[day] != origin}
        if days:
            stale[view.name] = days
    return stale
