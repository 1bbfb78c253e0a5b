"""The graph as a whole: a changed key, group, partition or dependency is a difference to review here."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from recsys_assets.definitions import build_definitions
from recsys_assets.partitions import day_partitions, slot_partitions
from recsys_assets.platform import Platform
from resources.settings import Settings
from resources.wiring import build_resources

DAYS = "day"
SLOTS = "slot"
GRAPH = {
    "sources/events": (DAYS, set()),
    "sources/items": (DAYS, set()),
    "sources/users": (DAYS, set()),
    "sources/user_blocks": (DAYS, set()),
    "sources/impressions": (DAYS, set()),
    "sources/rejected_rows": (DAYS, set()),
    "features/interactions": (DAYS, {"sources/events"}),
    "features/exclusions": (DAYS, {"features/interactions", "sources/users", "sources/user_blocks"}),
    "features/eligible_items": (DAYS, {"features/interactions", "sources/items"}),
    "features/purchase_sequence": (DAYS, {"features/interactions", "sources/users"}),
    "features/user_profile": (DAYS, {"features/interactions", "sources/users", "sources/items"}),
    "features/item_profile": (DAYS, {"features/interactions", "sources/users", "sources/items"}),
    "features/family_scores": (DAYS, {"recommendations/popularity", "recommendations/als"}),
    "monitoring/dashboard": (
        DAYS,
        {
            "monitoring/online_metrics",
            "sources/rejected_rows",
            "serving/online_store",
            "approved/popularity",
            "approved/als",
        },
    ),
    "maintenance/lake": (None, set()),
    "past/states": (None, {"features/interactions", "sources/items", "sources/users", "sources/user_blocks"}),
    "features/training_set": (
        SLOTS,
        {"features/interactions", "sources/users", "sources/user_blocks", "sources/items"},
    ),
    "models/popularity": (SLOTS, {"features/training_set"}),
    "models/als": (SLOTS, {"features/training_set"}),
    "validation/popularity": (SLOTS, {"features/training_set", "models/popularity"}),
    "validation/als": (SLOTS, {"features/training_set", "models/popularity", "models/als"}),
    "validation/final": (SLOTS, {"features/training_set", "models/popularity", "models/als"}),
    "validation/served": (
        SLOTS,
        {"features/interactions", "recommendations/popularity", "recommendations/als", "recommendations/final"},
    ),
    "releases/popularity": (SLOTS, {"features/training_set", "validation/popularity"}),
    "releases/als": (SLOTS, {"features/training_set", "validation/als"}),
    "approved/popularity": (None, {"releases/popularity"}),
    "approved/als": (None, {"releases/als"}),
    "recommendations/popularity": (
        DAYS,
        {"features/interactions", "features/exclusions", "features/eligible_items", "approved/popularity"},
    ),
    "recommendations/als": (
        DAYS,
        {
            "features/interactions",
            "features/exclusions",
            "features/eligible_items",
            "approved/als",
            "recommendations/popularity",
        },
    ),
    "recommendations/final": (
        DAYS,
        {"recommendations/popularity", "recommendations/als", "features/exclusions", "features/eligible_items"},
    ),
    "serving/online_store": (
        DAYS,
        {"recommendations/final", "features/exclusions", "features/eligible_items", "features/interactions"},
    ),
    "monitoring/online_metrics": (DAYS, {"sources/impressions", "sources/events"}),
    "monitoring/user_outcomes": (DAYS, {"sources/impressions", "sources/events"}),
}


@pytest.fixture(scope="module")
def platform(tiny_platform: Platform) -> Platform:
    content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["families"]["als"] = {}
    return Platform.model_validate(content)


@pytest.fixture(scope="module")
def definitions(platform: Platform) -> dg.Definitions:
    settings = Settings(home=Path("home"), lake="lake", landing="landing")
    return build_definitions(platform, build_resources(settings))


def test_the_definitions_are_loadable(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_the_graph_is_this(definitions: dg.Definitions, platform: Platform) -> None:
    kinds = {day_partitions(platform): DAYS, slot_partitions(platform): SLOTS, None: None}
    graph = definitions.resolve_asset_graph()
    found = {
        node.key.to_user_string(): (kinds[node.partitions_def], {key.to_user_string() for key in node.parent_keys})
        for node in graph.asset_nodes
    }
    assert found == GRAPH


def test_each_asset_says_what_it_is_who_owns_it_and_lies_in_the_group_of_its_key(definitions: dg.Definitions) -> None:
    for node in definitions.resolve_asset_graph().asset_nodes:
        assert node.group_name == node.key.path[0]
        assert node.description
        assert node.owners == ["team:recommendations"]


def test_blocking_checks_stand_before_release_and_approval(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    checks = {(key.asset_key.to_user_string(), key.name): graph.get(key).blocking for key in graph.asset_check_keys}
    for name in ("ndcg_above_floor", "beats_popularity", "parameters_are_finite", "enough_holdout_users"):
        assert checks[("validation/als", name)] is True
    assert checks[("releases/als", "release_is_finite")] is True
    assert ("validation/popularity", "beats_popularity") not in checks


def test_sensors_are_switched_on_and_start_the_jobs(definitions: dg.Definitions) -> None:
    sensors = list(definitions.sensors or ())
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.RUNNING}
    assert {sensor.name: sensor.job_name if sensor.targets else "nothing, it tells" for sensor in sensors} == {
        "approvals_sensor": "decide",
        "dashboard_sensor": "dashboard",
        "guardrail_sensor": "decide",
        "inference_sensor": "recommend",
        "landing_sensor": "ingest",
        "monitoring_sensor": "monitor",
        "refresh_sensor": "refresh",
        "reports_sensor": "nothing, it tells",
        "training_sensor": "train",
    }


def test_loading_the_location_imports_none_of_the_slow_libraries() -> None:
    code = (
        "import sys, recsys_assets.definitions as d; d.defs();"
        "print([name for name in ('mlflow', 'pyspark', 'implicit', 'boto3', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
