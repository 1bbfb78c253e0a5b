"""Families are found by name, and their own class checks what `recsys.yaml` says about them."""

from typing import Any

import pytest

from recsys_assets.models import als, popularity
from recsys_assets.models.catalogue import configured_families
from recsys_assets.platform import BUNDLED_CONFIG, ConfigurationError, FamilySettings, Platform, load_platform


def platform_with(**families: dict[str, Any]) -> Platform:
    settings = {name: FamilySettings(parameters=parameters) for name, parameters in families.items()}
    return load_platform(BUNDLED_CONFIG).model_copy(update={"families": settings})


def test_a_family_comes_with_its_parameters_in_the_order_of_the_configuration() -> None:
    found = configured_families(platform_with(als={"factors": 8}, popularity={}))
    assert list(found) == ["als", "popularity"]
    assert found["als"].family is als.FAMILY
    assert found["als"].parameters == als.AlsParameters(factors=8)
    assert found["popularity"].parameters == popularity.PopularityParameters(half_life_days=14.0)
    assert found["popularity"].name == "popularity"


@pytest.mark.parametrize("name", ["word_of_mouth", "ranking", "family", "als.als", ""])
def test_what_is_no_module_with_a_family_is_refused_by_its_key(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"recsys.yaml: families\.{name}: there is no"):
        configured_families(platform_with(**{name: {}}))


def test_an_unknown_hyper_parameter_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigurationError, match=r"families\.als\.parameters: factor: unknown .* 'factors'"):
        configured_families(platform_with(als={"factor": 64}))


@pytest.mark.parametrize(
    ("family", "key", "value"),
    [
        ("als", "factors", 0),
        ("als", "factors", "many"),
        ("als", "regularization", 0),
        ("als", "alpha", -1.0),
        ("als", "weighting", "quadratic"),
        ("als", "half_life_days", 0),
        ("popularity", "half_life_days", -7.0),
        ("popularity", "half_life_days", "a week"),
    ],
)
def test_a_wrong_hyper_parameter_is_refused_with_its_value(family: str, key: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as refused:
        configured_families(platform_with(**{family: {key: value}}))
    assert f"families.{family}.parameters: {key}: " in str(refused.value)
    assert f"it is {value!r}" in str(refused.value)


def test_every_wrong_hyper_parameter_has_a_line_of_its_own() -> None:
    with pytest.raises(ConfigurationError) as refused:
        configured_families(platform_with(als={"factors": 0, "iterations": 0}))
    assert [line.split(": ")[2] for line in str(refused.value).splitlines()] == ["factors", "iterations"]
