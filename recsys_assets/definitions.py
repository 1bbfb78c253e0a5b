"""The one assembly: configuration and settings in, Dagster definitions out. Tests come through the same door."""

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from recsys_assets.features.assets import build_assets as feature_assets
from recsys_assets.inference.assets import build_assets as recommendation_assets
from recsys_assets.ingestion.assets import build_assets as source_assets
from recsys_assets.jobs import build_jobs
from recsys_assets.maintenance.assets import build_assets as maintenance_assets
from recsys_assets.maintenance.assets import build_schedules
from recsys_assets.models.assets import build_assets as model_assets
from recsys_assets.monitoring.assets import build_assets as monitoring_assets
from recsys_assets.monitoring.checks import build_checks
from recsys_assets.monitoring.dashboard_assets import build_assets as dashboard_assets
from recsys_assets.monitoring.experiment_assets import build_assets as experiment_assets
from recsys_assets.monitoring.guardrail_assets import build_assets as guardrail_assets
from recsys_assets.platform import BUNDLED_CONFIG, Platform, load_platform
from recsys_assets.registry.assets import build_assets as registry_assets
from recsys_assets.remote.assets import computed_by_jobs
from recsys_assets.serving.assets import build_assets as serving_assets
from recsys_assets.validation.assets import build_assets as validation_assets
from recsys_assets.validation.blend import build_assets as blend_assets
from recsys_assets.validation.served import build_assets as served_assets
from resources.settings import Settings
from resources.wiring import build_resources
from sensors import build_sensors

ASSET_BUILDERS = (
    source_assets,
    feature_assets,
    model_assets,
    validation_assets,
    blend_assets,
    served_assets,
    registry_assets,
    recommendation_assets,
    serving_assets,
    monitoring_assets,
    experiment_assets,
    guardrail_assets,
    dashboard_assets,
    maintenance_assets,
)


def build_definitions(
    platform: Platform, resources: Mapping[str, Any], loggers: Mapping[str, dg.LoggerDefinition] | None = None
) -> dg.Definitions:
    """Everything that Dagster loads.

    Args:
        platform: The configuration.
        resources: Resource name to resource, as `resources.wiring.build_resources` makes them.
        loggers: Instead of Dagster's own.
    """
    return dg.Definitions(
        assets=dg.map_asset_specs(
            lambda spec: spec.replace_attributes(owners=[platform.owner]),
            computed_by_jobs(platform, [asset for build in ASSET_BUILDERS for asset in build(platform)], resources),
        ),
        asset_checks=build_checks(platform),
        jobs=build_jobs(platform),
        schedules=build_schedules(platform),
        sensors=build_sensors(platform),
        resources=resources,
        loggers=loggers,
        # Steps share one process: they are short, and importing the libraries again for each would cost more.
        executor=dg.in_process_executor,
    )


def configured_platform(settings: Settings) -> Platform:
    """The configuration that the settings point at."""
    return load_platform(settings.config or BUNDLED_CONFIG)


def allow_known_warnings() -> None:
    """Let pass the warnings about features of Dagster that are used on purpose before they are declared stable."""
    for expected in (dg.BetaWarning, dg.PreviewWarning):
        warnings.simplefilter("ignore", expected)


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` loads: the platform and the resources of this environment."""
    allow_known_warnings()
    settings = Settings.from_env()
    platform = configured_platform(settings)
    return build_definitions(platform, build_resources(settings, platform.engine))
