"""Stored verdicts: what the gate said of a version, kept so that approval never trusts its place in the graph."""

import dagster as dg
import polars as pl

from recsys_assets.columns import VERDICTS
from recsys_assets.validation.gate import Stage, Verdict, required_checks
from resources.lake import DeltaLake
from resources.model_registry import ModelVersion


def store_verdicts(lake: DeltaLake, version: ModelVersion, recipe: str, stage: Stage, verdicts: list[Verdict]) -> None:
    """Replace the verdicts of one stage of a version, passed under a configuration with this fingerprint."""
    rows = pl.DataFrame(
        [
            {
                "ds": version.slot,
                "family": version.family,
                "version": str(version.version),
                "recipe": recipe,
                "stage": stage,
                "check": verdict.check,
                "actual": verdict.actual,
                "threshold": verdict.threshold,
                "passed": verdict.passed,
                "smallest_detectable_drop": verdict.smallest_detectable_drop,
                "sentence": verdict.sentence,
            }
            for verdict in verdicts
        ],
        schema=VERDICTS.schema,
    )
    where = {"family": version.family, "version": str(version.version), "stage": stage}
    lake.replace(VERDICTS, rows, (version.slot, version.slot), where)


def stored_verdicts(lake: DeltaLake, version: ModelVersion) -> list[Verdict]:
    """Every stored verdict of a version."""
    rows = lake.scan(VERDICTS, (version.slot, version.slot)).filter(
        pl.col("family") == version.family, pl.col("version") == str(version.version)
    )
    columns = ("check", "actual", "threshold", "passed", "sentence", "smallest_detectable_drop")
    return [Verdict(**row) for row in rows.select(columns).sort("check").collect().iter_rows(named=True)]


def objections(family: str, verdicts: list[Verdict], checks: set[str] | None = None) -> list[str]:
    """Why a version may not go on: failed verdicts, and missing ones; empty when nothing stands against it.

    Args:
        family: The version's family.
        verdicts: Its stored verdicts.
        checks: The checks that must have passed; default: all that approval requires.
    """
    required = required_checks(family) if checks is None else checks
    failed = [f"{one.check}: {one.sentence}" for one in verdicts if one.check in required and not one.passed]
    missing = sorted(required - {one.check for one in verdicts})
    return [*failed, *(f"{check}: there is no stored verdict" for check in missing)]


def check_specs(asset: dg.AssetKey, checks: dict[str, str]) -> list[dg.AssetCheckSpec]:
    """Blocking checks of an asset, by name and meaning."""
    return [
        dg.AssetCheckSpec(name, asset=asset, description=meaning, blocking=True) for name, meaning in checks.items()
    ]


def check_results(asset: dg.AssetKey, verdicts: list[Verdict]) -> list[dg.AssetCheckResult]:
    """The verdicts as Dagster shows them."""
    return [
        dg.AssetCheckResult(
            passed=verdict.passed,
            asset_key=asset,
            check_name=verdict.check,
            severity=dg.AssetCheckSeverity.ERROR,
            description=verdict.sentence,
            metadata={
                "actual": verdict.actual,
                "threshold": verdict.threshold,
                "smallest_detectable_drop": verdict.smallest_detectable_drop,
            },
        )
        for verdict in verdicts
    ]
