"""Families are found by name, and their own class checks what `recsys.yaml` says about them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS
from recsys_assets.configuration import ConfigurationError
from recsys_assets.models import als, popularity
from recsys_assets.models.catalogue import available_families, configured_families, find_family
from recsys_assets.models.family import Interactions
from recsys_assets.models.ranking import rank
from recsys_assets.platform import BUNDLED_CONFIG, FamilySettings, Platform, load_platform


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


@pytest.mark.parametrize("name", ["word_of_mouth", "ranking", "family", "pyfunc_code", "als.als", ""])
def test_what_is_no_module_with_a_family_is_refused_by_its_key(name: str) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"recsys.yaml: families\.{name}: there is no .*; the families are als"
    ):
        configured_families(platform_with(**{name: {}}))


def test_every_family_that_is_there_goes_by_the_name_of_its_file() -> None:
    families = available_families()
    assert {"popularity", "als", "item_item", "graph_filter", "ease", "sequential"} <= set(families)
    assert [family.name for family in families.values()] == list(families)
    assert all(find_family(name) is family for name, family in families.items())


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
        ("als", "alpha", float("nan")),
        ("als", "regularization", float("inf")),
        ("popularity", "half_life_days", float("nan")),
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


def test_a_number_that_is_none_is_refused_whatever_its_bounds() -> None:
    """As `.nan` and `.inf` in the file; a bound alone lets infinity pass."""
    for name, family in available_families().items():
        numbers = [key for key, value in family.parameters() if isinstance(value, float)]
        for key in numbers:
            for value in (float("nan"), float("inf")):
                with pytest.raises(ConfigurationError, match=f"{key}: .*finite number"):
                    configured_families(platform_with(**{name: {key: value}}))


@pytest.fixture
def with_readme_line(tmp_path: Path) -> Path:
    """The bundled configuration with the README's block of families instead of its own."""
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    block = text.split("its line in `recsys.yaml`:")[1].split("```yaml\n")[1].split("```")[0]
    content = yaml.safe_load(BUNDLED_CONFIG.read_text(encoding="utf-8")) | yaml.safe_load(block) | {"guardrails": {}}
    file = tmp_path / "recsys.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def test_the_family_of_the_readme_takes_one_file_and_one_line(
    with_readme_line: Path, readme_family: Callable[[], AbstractContextManager[None]]
) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no recsys_assets/models/also_bought\.py"):
        configured_families(load_platform(with_readme_line))
    with readme_family():
        found = configured_families(load_platform(with_readme_line))["also_bought"]
        day = date(2026, 3, 1)
        pairs = [(f"user {user}", item) for user in range(5) for item in ("tea", "cup", *(["jam"] if user < 3 else []))]
        rows = [
            (user, item, day - timedelta(days=1), 1.0) for user, item in [*pairs, ("user 5", "tea"), ("user 5", "pen")]
        ]
        sold = Interactions(pl.DataFrame(rows, ["user_id", "item_id", "day", "weight"], orient="row"), day)
        model = found.family.fit(sold.within(found.settings.window_days), found.parameters, 0)
        eligible = [(day, item, None, None, False) for item in model.item_ids]
        ranked = rank(
            model,
            Interactions(pl.DataFrame([("new", "tea", day, 1.0)], sold.rows.schema, orient="row"), day),
            pl.Series(["new"]),
            pl.DataFrame([(day, "new", ["tea"], ["owned"], [], [], False)], EXCLUSIONS.schema, orient="row"),
            pl.DataFrame(eligible, ELIGIBLE_ITEMS.schema, orient="row"),
            n=3,
        )
    assert ranked["item_ids"].to_list() == [["cup", "jam", "pen"]]
    assert ranked["scores"].to_list()[0] == pytest.approx(
        [5 / 6, 3 / 6, 0]
    )  # one user with tea and pen is a coincidence
