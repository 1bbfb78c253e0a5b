"""The asset `monitoring/dashboard`: a page per day that says what serves, how it does, and what needs somebody."""

from datetime import date, datetime

import dagster as dg

from recsys_assets.columns import EXPERIMENTS, GUARDRAILS, ONLINE_METRICS, REJECTED_ROWS
from recsys_assets.monitoring.dashboard_page import LEVEL_WORDS, render, summary
from recsys_assets.monitoring.dashboard_readings import made_of, read_dashboard
from recsys_assets.monitoring.dashboard_status import Finding, findings_of
from recsys_assets.partitions import day_partitions
from recsys_assets.platform import Platform
from recsys_assets.presentation import day_range
from recsys_assets.registry.promotions import approved_key
from recsys_assets.serving.assets import ONLINE_STORE_KEY
from recsys_assets.slot_window import days_between
from resources.dashboard_folder import DashboardFolder
from resources.lake import DeltaLake

DASHBOARD_KEY = dg.AssetKey(["monitoring", "dashboard"])
MADE_OF = "made_of"
"""Metadata of a materialization: what the page was made of."""


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """The page."""
    measured = [ONLINE_METRICS, REJECTED_ROWS]
    measured += [EXPERIMENTS] if platform.experiments else []
    measured += [GUARDRAILS] if platform.guardrails else []

    @dg.asset(
        key=DASHBOARD_KEY,
        group_name=DASHBOARD_KEY.path[0],
        description=(
            "One page per day: what serves, how it did before and does with users, what the gate refused, what came in "
            "and what was published; and first of all what needs somebody. A file that needs no network."
        ),
        partitions_def=day_partitions(platform),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[
            *(dg.AssetKey(table.key) for table in measured),
            *(approved_key(family) for family in platform.families),
            ONLINE_STORE_KEY,
        ],
        kinds={"html"},
    )
    def dashboard(
        context: dg.AssetExecutionContext, lake: DeltaLake, dashboard_folder: DashboardFolder
    ) -> dg.MaterializeResult:
        state = made_of(platform, lake, context.instance)  # as it was before anything else is read
        for day in days_between(*day_range(context)):
            page = read_dashboard(platform, lake, context.instance, day)
            before = max((one for one in dashboard_folder.days() if one < day), default=None)
            path = dashboard_folder.write(day, render(page, datetime.now(tz=platform.zone), before))
        findings = findings_of(page)
        return dg.MaterializeResult(
            metadata={
                MADE_OF: state,
                "page": dg.MetadataValue.path(path),
                "open": dg.MetadataValue.url(path.as_uri()),
                "summary": summary(findings),
                "status": dg.MetadataValue.md(in_markdown(findings)),
            }
        )

    return [dashboard]


def written_from(instance: dg.DagsterInstance, day: date) -> str | None:
    """What the page of a day was made of when it was written last; None where it never was."""
    only = dg.AssetRecordsFilter(asset_key=DASHBOARD_KEY, asset_partitions=[str(day)])
    records = instance.fetch_materializations(only, limit=1).records
    materialization = records[0].asset_materialization if records else None
    return None if materialization is None else str(materialization.metadata[MADE_OF].value)


def in_markdown(findings: tuple[Finding, ...]) -> str:
    """The status of the page as a list."""
    return "\n".join(f"- **{LEVEL_WORDS[one.level]}** {one.sentence} {one.remedy}".rstrip() for one in findings)
