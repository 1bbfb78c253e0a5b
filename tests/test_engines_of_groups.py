"""Which engine computes which group: `recsys.yaml` before the environment, and each group by itself."""

from pathlib import Path
from typing import Any, get_args

import pytest

from recsys_assets.cli.installation import Installation
from recsys_assets.configuration import ConfigurationError, checked
from recsys_assets.engines import EngineGroup, EngineName
from recsys_assets.features.specification import feature_spec_hash
from recsys_assets.platform import Platform
from resources.engine import GROUPS, Engines, PolarsEngine, SparkEngine
from resources.settings import ENGINES, Settings
from resources.wiring import build_resources

SETTINGS = {name: Settings(home=Path("home"), lake="lake", landing="landing", engine=name) for name in ENGINES}
KINDS = {PolarsEngine: "polars", SparkEngine: "spark"}


def with_engine(platform: Platform, engine: Any) -> Platform:
    content = platform.model_dump(mode="json", exclude_unset=True, by_alias=True) | {"engine": engine}
    return checked(Platform, content, "recsys.yaml")


def used(environment: EngineName, platform: Platform) -> dict[str, str]:
    """Group to the engine that its assets get."""
    engines: Engines = build_resources(SETTINGS[environment], platform.engine)["engine"]
    return {group: KINDS[type(engines.process_config_and_initialize().of(group))] for group in GROUPS}


def test_the_configuration_knows_the_groups_and_engines_that_there_are() -> None:
    assert get_args(EngineGroup) == GROUPS
    assert get_args(EngineName) == ENGINES


@pytest.mark.parametrize("environment", ENGINES)
def test_without_a_word_in_the_configuration_the_environment_decides(
    tiny_platform: Platform, environment: EngineName
) -> None:
    assert tiny_platform.engine == {}
    assert used(environment, tiny_platform) == dict.fromkeys(GROUPS, environment)


def test_one_engine_in_the_configuration_is_that_of_all_groups(tiny_platform: Platform) -> None:
    assert used("polars", with_engine(tiny_platform, "spark")) == dict.fromkeys(GROUPS, "spark")
    assert used("spark", with_engine(tiny_platform, "polars")) == dict.fromkeys(GROUPS, "polars")


def test_groups_that_are_not_named_take_the_one_of_the_environment(tiny_platform: Platform) -> None:
    some = with_engine(tiny_platform, {"features": "spark", "models": "polars"})
    assert used("polars", some) == {
        "sources": "polars",
        "features": "spark",
        "models": "polars",
        "recommendations": "polars",
    }
    assert used("spark", some) == {
        "sources": "spark",
        "features": "spark",
        "models": "polars",
        "recommendations": "spark",
    }


def test_one_engine_alone_is_the_engine_of_every_group() -> None:
    engine = PolarsEngine()
    assert all(engine.of(group) is engine for group in GROUPS)


def test_commands_read_features_with_the_engine_of_the_features(tiny_platform: Platform) -> None:
    for group, expected in (("features", SparkEngine), ("models", PolarsEngine)):
        installation = Installation(SETTINGS["polars"], with_engine(tiny_platform, {group: "spark"}))
        assert type(installation.engine) is expected


def test_what_computes_changes_nothing_that_was_computed(tiny_platform: Platform) -> None:
    assert feature_spec_hash(with_engine(tiny_platform, "spark")) == feature_spec_hash(tiny_platform)


RIGHT = (
    "write one of polars, spark, or one of them for each of some groups of sources, features, models, recommendations"
)


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("duckdb", rf"^recsys\.yaml: engine: {RIGHT} \(it is 'duckdb'\)$"),
        (None, rf"engine: {RIGHT} \(it is None\)$"),
        (["spark"], rf"engine: {RIGHT} \(it is \['spark'\]\)$"),
        ({"ranking": "spark"}, rf"engine: {RIGHT}; ranking: spark is neither$"),
        ({"features": "spark", "models": "duckdb"}, rf"engine: {RIGHT}; models: duckdb is neither$"),
        ({"features": ["spark"]}, rf"engine: {RIGHT}; features: \['spark'\] is neither$"),
        ({1: "spark"}, rf"engine: {RIGHT}; 1: spark is neither$"),
    ],
)
def test_another_group_or_engine_is_refused_with_those_that_there_are(
    tiny_platform: Platform, engine: Any, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        with_engine(tiny_platform, engine)
