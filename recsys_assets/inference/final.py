"""The asset `recommendations/final`: the lists of the families of a day, blended and composed into one per user.

Lists that fail a blocking check are not stored, so nobody can publish them later either.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import polars as pl

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS, FINAL_RECOMMENDATIONS
from recsys_assets.features.checks import Finding
from recsys_assets.features.store import FeatureStore
from recsys_assets.inference.checks import BLOCKING, WARNING, Seen, findings
from recsys_assets.inference.final_day import FinalDay
from recsys_assets.partitions import day_partitions
from recsys_assets.platform import Platform
from recsys_assets.presentation import day_range, described, written
from recsys_assets.slot_window import days_between
from recsys_assets.validation.stored_weights import serving_weights
from recsys_assets.validation.weights import are_alike, configured_weights, in_words, why_not_in_force
from resources.engine import Engines
from resources.lake import DeltaLake, Spool
from resources.model_registry import ModelRegistry

KEY = dg.AssetKey(FINAL_RECOMMENDATIONS.key)
WAITING = "weights_waiting"
"""Metadata: configured weights that are not in force, and how to get them in."""


def build_final(platform: Platform) -> dg.AssetsDefinition:
    """The lists that are published."""
    lists = [dg.AssetKey(["recommendations", name]) for name in platform.families]

    @dg.asset(
        **described(FINAL_RECOMMENDATIONS),
        partitions_def=day_partitions(platform),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[*lists, *(dg.AssetKey(table.key) for table in (EXCLUSIONS, ELIGIBLE_ITEMS))],
        check_specs=[
            dg.AssetCheckSpec(name, asset=KEY, description=meaning, blocking=name in BLOCKING)
            for name, meaning in (BLOCKING | WARNING).items()
        ],
        kinds={"deltalake", "polars"},
    )
    def final(
        context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engines, model_registry: ModelRegistry
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        days = day_range(context)
        store = FeatureStore(platform, lake, engine.of("recommendations"))
        with TemporaryDirectory(prefix="recsys-lists-") as folder:
            rows = Spool(FINAL_RECOMMENDATIONS, Path(folder, "rows"))
            seen = sum((_compose(store, model_registry, day, rows) for day in days_between(*days)), Seen())
            found = findings(seen, platform.recommendations.checks)
            against = [one.sentence for one in found if one.check in BLOCKING and not one.passed]
            if against:
                yield from _results(found)
                raise dg.Failure(f"{FINAL_RECOMMENDATIONS.name} is left as it was: {'; '.join(against)}")
            delta = lake.replace(FINAL_RECOMMENDATIONS, rows, days)
            more = _blended_with(platform, lake, days[1]) | _counts(seen, rows)
        if WAITING in more:
            context.log.warning(more[WAITING])
        yield written(lake, FINAL_RECOMMENDATIONS, rows, delta, check_results=_results(found), **more)

    return final


def _compose(store: FeatureStore, registry: ModelRegistry, day: date, rows: Spool) -> Seen:
    """Put the lists of a day with the others; a day before the first approval has none. Returns what was seen."""
    made = FinalDay.of(store, registry, day)
    seen = Seen()
    for lists, found in made.lists() if made.is_served else ():
        rows.add(lists)
        seen += found
    return seen


def _blended_with(platform: Platform, lake: DeltaLake, day: date) -> dict[str, Any]:
    """Metadata: the weights that blended the newest day, and why these are not the configured ones, if so."""
    asked, weights = configured_weights(platform), serving_weights(lake, platform, day)
    shown = {"weights": in_words(weights)}
    return shown if are_alike(asked, weights) else {**shown, WAITING: why_not_in_force(asked, weights)}


def _counts(seen: Seen, rows: Spool) -> dict[str, Any]:
    """Metadata: how many lists there are of which kind, and how many places each rule filled."""
    places = rows.scan().select(pl.col("rules").explode().drop_nulls()).group_by("rules").len().sort("rules")
    fallback = rows.scan().select(pl.col("is_fallback").sum()).collect(engine="streaming").item()
    return {
        "full_lists": seen.full,
        "fallback_lists": int(fallback or 0),
        "places_by_rule": dg.MetadataValue.json(dict(places.collect(engine="streaming").iter_rows())),
    }


def _results(found: list[Finding]) -> list[dg.AssetCheckResult]:
    return [
        dg.AssetCheckResult(
            check_name=finding.check,
            asset_key=KEY,
            passed=finding.passed,
            severity=dg.AssetCheckSeverity.ERROR if finding.check in BLOCKING else dg.AssetCheckSeverity.WARN,
            description=finding.sentence,
            metadata={"actual": finding.actual, "threshold": finding.threshold},
        )
        for finding in found
    ]
