"""What starts by itself: each sensor reads the world, asks a pure decision, and requests runs.

Nothing is remembered between ticks beyond what Dagster, the lake and the landing know.
"""

import dagster as dg

from recsys_assets.platform import Platform
from sensors.approvals import build_approvals_sensor
from sensors.dashboard import build_dashboard_sensor
from sensors.guardrail import build_guardrail_sensor
from sensors.inference import build_inference_sensor
from sensors.landing import build_landing_sensor
from sensors.monitoring import build_monitoring_sensor
from sensors.refresh import build_refresh_sensor
from sensors.reports import build_reports_sensor
from sensors.training import build_training_sensor


def build_sensors(platform: Platform) -> list[dg.SensorDefinition]:
    """All sensors of a platform, switched on."""
    return [
        build_landing_sensor(platform),
        build_training_sensor(platform),
        build_inference_sensor(platform),
        build_refresh_sensor(platform),
        build_monitoring_sensor(platform),
        build_guardrail_sensor(platform),
        build_approvals_sensor(platform),
        build_dashboard_sensor(platform),
        build_reports_sensor(platform),
    ]
