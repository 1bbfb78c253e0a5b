"""The asset `maintenance/lake`: the upkeep, and the schedule that starts it every night."""

import dagster as dg

from recsys_assets.maintenance.retention import kept_days
from recsys_assets.maintenance.upkeep import keep_up
from recsys_assets.platform import Platform
from resources.lake import DeltaLake

UPKEEP_KEY = dg.AssetKey(["maintenance", "lake"])
AT_NIGHT = "0 4 * * *"


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """The upkeep.

    Raises:
        ConfigurationError: Fewer days are to be kept than somebody reads.
    """
    kept = kept_days(platform)

    @dg.asset(
        key=UPKEEP_KEY,
        group_name="maintenance",
        description="The upkeep of the lake: what is past its days goes, small files are put together.",
        kinds={"deltalake"},
    )
    def lake_upkeep(lake: DeltaLake) -> dg.MaterializeResult:
        done = keep_up(lake, platform)
        counts = {"dropped_days": done.dropped, "compacted_files": done.compacted, "removed_files": done.removed}
        return dg.MaterializeResult(
            metadata={
                **{name: dg.MetadataValue.json(count) for name, count in counts.items()},
                "removed_folders": done.folders,
                "kept_days": dg.MetadataValue.json(kept),
            }
        )

    return [lake_upkeep]


def build_schedules(platform: Platform) -> list[dg.ScheduleDefinition]:
    """The upkeep every night, when few others write."""
    return [
        dg.ScheduleDefinition(
            name="upkeep",
            job_name="maintain",
            cron_schedule=AT_NIGHT,
            execution_timezone=platform.time_zone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Starts `maintain` every night.",
        )
    ]
