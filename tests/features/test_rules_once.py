"""A business rule is known in one module and to nobody else: the imports, the words and the assets show it."""

import ast
import gc
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import dagster as dg
import grimp
import pytest

import recsys_assets
from recsys_assets.columns import EVENTS, ITEMS, USER_BLOCKS, USERS
from recsys_assets.definitions import build_definitions
from recsys_assets.features import rules
from recsys_assets.platform import Platform, Rules
from resources.settings import Settings
from resources.wiring import build_resources

ROOT = Path(recsys_assets.__file__).parents[1]
ROOTS = ("recsys_assets", "resources", "sensors")
HOME = "recsys_assets.features"
CONFIGURATION = ("recsys_assets.platform", "recsys_assets.mapping")
WHERE_FACTS_ARE_MADE = ("recsys_assets.columns", "recsys_assets.ingestion", "recsys_assets.simulation")
WHO_TELLS_OF_FACTS = {
    "recsys_assets.inspector": "shows people what a user did, and which fact hides an item",
    "recsys_assets.monitoring": "credits what users did to what they were shown",
}
"""They train nothing and rank nobody's daily list."""
MAY_SPEAK_OF_FACTS = (HOME, *CONFIGURATION, *WHERE_FACTS_ARE_MADE, *WHO_TELLS_OF_FACTS)

FACTS = {"is_test", "is_adult_verified", "is_blocked", "withdrawn_on", "released_on", "refund", "refunds", "target_id"}
"""Columns and values that only a rule can make sense of."""
NAMESAKE = {"half_life_days", "rules"}
"""Some models have a hyper-parameter that is called like the rule, and lists the rules of their composition."""
SWITCHES = {*Rules.model_fields, "event_weights", "hit_event", "max_events_per_day"} - NAMESAKE
"""What a platform owner configures a rule by."""
TABLES = {"EVENTS", "ITEMS", "USERS", "USER_BLOCKS", "PAIR_TOTALS", "USERS_SEEN", "ITEM_STATE", "USER_STATE"}
"""Tables of raw facts, and what is kept of them."""
UNAVOIDABLE = {
    ("recsys_assets.api.schemas", "refund"): "what may be posted",
    ("recsys_assets.api.segments", "EVENTS"): "the columns of what was posted",
    ("recsys_assets.cli.demo", "refunds"): "says how many refunds were simulated",
    ("recsys_assets.composing", "owned_is_excluded"): "says in words where a rule of composition needs it",
    ("recsys_assets.composing", "released_on"): "the same",
    ("recsys_assets.serving.filters", "ITEMS"): "a word of Redis",
}


def is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*ROOTS, cache_dir=None)


@pytest.fixture(scope="module", autouse=True)
def no_finalizers() -> Iterator[None]:
    """What other tests left is cleared away now: CPython 3.11 fails when a finalizer runs while it builds a tree."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of ours that has no business with raw facts, parsed."""
    for path in sorted(path for root in ROOTS for path in (ROOT / root).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if not is_in(name, MAY_SPEAK_OF_FACTS):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def docstrings(tree: ast.Module) -> set[int]:
    """The strings that are prose: those that stand alone."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def words(tree: ast.Module) -> set[str]:
    """Names, attributes, arguments, and strings that could name a column; of longer strings, what looks like one."""
    prose = docstrings(tree)
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name) | ast.keyword(arg=str(name)):
                found.add(name)
            case ast.Constant(value=str(text)) if id(node) not in prose:
                found |= {text, *re.findall(r"[a-z]+(?:_[a-z]+)+", text)}
    return found


def test_only_the_feature_store_imports_the_rules() -> None:
    importers = graph().find_modules_that_directly_import(rules.__name__)
    assert len(importers) > 3
    assert {name for name in importers if not is_in(name, (HOME, *WHO_TELLS_OF_FACTS))} == set()


def test_nobody_else_imports_a_view_that_applies_them_but_through_the_store_and_the_declarations() -> None:
    views = f"{HOME}.views"
    doors = {f"{HOME}.store", views, f"{HOME}.specification", f"{HOME}.assets", f"{HOME}.pages"}
    for view in graph().find_children(views):
        importers = graph().find_modules_that_directly_import(view)
        allowed = (views, *WHO_TELLS_OF_FACTS)
        assert {name for name in importers if name not in doors and not is_in(name, allowed)} == set(), view


@pytest.mark.parametrize("kind", ["FACTS", "SWITCHES", "TABLES"])
def test_no_other_module_mentions_what_rules_are_made_of(kind: str) -> None:
    raw = {"FACTS": FACTS, "SWITCHES": SWITCHES, "TABLES": TABLES}[kind]
    found = {(name, word) for name, tree in modules() for word in words(tree) & raw}
    assert found - UNAVOIDABLE.keys() == set()


def test_what_is_let_pass_is_still_there() -> None:
    found = {(name, word) for name, tree in modules() for word in words(tree) & (FACTS | SWITCHES | TABLES)}
    assert UNAVOIDABLE.keys() <= found


def test_the_words_that_are_looked_for_are_those_of_the_rules() -> None:
    tree = ast.parse(Path(rules.__file__).read_text(encoding="utf-8"))
    columns = {name for table in (EVENTS, ITEMS, USERS, USER_BLOCKS) for name in table.schema}
    assert {*FACTS} - {"refund", "refunds"} <= columns
    assert {*FACTS, *Rules.model_fields} - {"bots", "max_events_per_day"} <= words(tree) | {"refund"}


def test_a_mention_would_be_found() -> None:
    code = '''
"""A module about refunds and is_test."""
from recsys_assets.columns import USERS
def some(rows, platform):
    """Nothing of is_blocked."""
    kept = rows.filter(~pl.col("is_test"), withdrawn_on=None)
    return kept if platform.rules.blocks_apply else f"{rows} by is_adult_verified"
'''
    found = words(ast.parse(code))
    assert found & (FACTS | SWITCHES | TABLES) == {
        *("is_test", "withdrawn_on", "blocks_apply", "is_adult_verified", "USERS"),
    }


# --- The asset graph ---


@pytest.fixture(scope="module")
def assets(tiny_platform: Platform) -> dict[dg.AssetKey, set[dg.AssetKey]]:
    """Every asset to what it depends on directly."""
    content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["families"]["als"] = {}
    settings = Settings(home=Path("home"), lake="lake", landing="landing")
    definitions = build_definitions(Platform.model_validate(content), build_resources(settings))
    return {node.key: set(node.parent_keys) for node in definitions.resolve_asset_graph().asset_nodes}


def reached(key: dg.AssetKey, assets: dict[dg.AssetKey, set[dg.AssetKey]], closed: str) -> set[dg.AssetKey]:
    """What an asset depends on, over any number of steps, but never through a group."""
    found: set[dg.AssetKey] = set()
    waiting = [key]
    while waiting:
        for parent in assets[waiting.pop()] - found:
            found.add(parent)
            if parent.path[0] != closed:
                waiting.append(parent)
    return found


@pytest.mark.parametrize("group", ["models", "validation", "releases", "approved", "recommendations", "serving"])
def test_models_and_lists_reach_the_sources_only_through_the_features(
    assets: dict[dg.AssetKey, set[dg.AssetKey]], group: str
) -> None:
    members = [key for key in assets if key.path[0] == group]
    assert members
    for key in members:
        found = {parent.path[0] for parent in reached(key, assets, closed="features")}
        assert "features" in found
        assert not found & {"sources", "past"}, key
    through_features = {parent.path[0] for parent in reached(members[0], assets, closed="nothing")}
    assert "sources" in through_features


def test_every_other_asset_belongs_to_a_group_of_the_test_above(assets: dict[dg.AssetKey, set[dg.AssetKey]]) -> None:
    groups = {key.path[0] for key in assets} - {"sources", "past", "features", "monitoring", "maintenance"}
    assert groups == {"models", "validation", "releases", "approved", "recommendations", "serving"}
