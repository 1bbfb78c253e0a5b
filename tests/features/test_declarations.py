"""What a view declares is complete and true, and Dagster shows it."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from types import FrameType
from typing import Any

import dagster as dg
import pytest

import recsys_assets.columns
from recsys_assets.columns import TRAINING_SET, Table
from recsys_assets.features import rules
from recsys_assets.features.assets import build_assets
from recsys_assets.features.past import KEPT, LakePast
from recsys_assets.features.rules import Frame
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.view import FeatureView, Known, Past, Rule
from recsys_assets.features.views import SNAPSHOTS, VIEWS
from recsys_assets.platform import Platform, Training

OpenShop = Callable[..., FeatureStore]
ALL = list(VIEWS.values())
STORED = [view for view in ALL if view.is_stored]
SLOT = date(2026, 1, 12)
TABLES = {one.name: one for one in vars(recsys_assets.columns).values() if isinstance(one, Table)}
RULES = {
    name: rule
    for name, rule in inspect.getmembers(rules, inspect.isfunction)
    if rule.__module__ == rules.__name__ and not name.startswith("_")
}


def january(day: int) -> date:
    return date(2026, 1, day)


@pytest.fixture(scope="module")
def shop(open_shop: OpenShop, tiny_platform: Platform) -> FeatureStore:
    """A shop in which every rule finds something to do, once or more often."""
    training = Training(train_days=10, holdout_days=3, min_history_days=4)
    return open_shop(
        *(
            "1 ann purchase dune",
            "1 ann purchase emma",
            "2 ann purchase walden",
            "2 bob view dune",
            "4 bob purchase dune",
        ),
        *("5 ann refund emma", "5 ann purchase ulysses 2", "6 ann refund ulysses", "6 ann purchase ulysses"),
        *("2 tester view dune", "3 tester purchase emma", "3 tester2 view dune"),
        *[f"4 bot view {item}" for item in ("dune", "dune", "emma", "emma", "walden", "walden")],
        *("10 bob purchase emma", "10 ann purchase dune", "10 bob purchase nautilus", "11 bob purchase fanny"),
        items=[
            {"ds": 1, "item_id": "dune", "creator": "Herbert"},
            {"ds": 1, "item_id": "nautilus", "creator": "Verne"},
            {"ds": 1, "item_id": "fanny", "is_adult": True},
            *({"ds": 1, "item_id": f"soon{n}", "released_on": 20} for n in range(3)),
            *({"ds": 1, "item_id": f"gone{n}", "withdrawn_on": 2} for n in range(2)),
        ],
        users=[
            *({"ds": 2, "user_id": user, "is_test": True} for user in ("tester", "tester2")),
            {"ds": 2, "user_id": "ann", "is_adult_verified": True},
        ],
        blocks=[
            {"ds": 3, "user_id": "bob", "target": target, "target_id": target_id, "is_blocked": is_blocked}
            for target, target_id, is_blocked in (
                ("creator", "Verne", True),
                ("item", "walden", True),
                ("item", "dune", True),
                ("item", "ulysses", False),
            )
        ],
        platform=tiny_platform.model_copy(update={"training": training}),
        half_life_days=7.0,
    )


# --- Complete ---


@pytest.mark.parametrize("view", ALL, ids=lambda view: view.name)
def test_every_view_says_who_owns_it_and_what_its_keys_are(view: FeatureView) -> None:
    table = view.table
    assert table.key == ("features", view.name)
    assert TABLES[table.name] is table
    assert table.primary_key[0] == "ds"
    assert set(view.entity) < set(table.primary_key) <= set(table.schema)
    assert set(table.primary_key) <= set(table.required)
    assert view.ttl_days >= 1


@pytest.mark.parametrize("view", ALL, ids=lambda view: view.name)
def test_every_column_says_what_it_means(view: FeatureView) -> None:
    for column in view.table.columns:
        assert len(column.description.split()) > 1, column.name
        assert not column.description.endswith("."), column.name
    assert view.table.description.endswith(".")


@pytest.mark.parametrize("view", STORED, ids=lambda view: view.name)
def test_every_column_names_existing_columns_that_it_comes_from(view: FeatureView) -> None:
    for column in view.table.columns[1:]:
        assert column.derived_from, column.name
        for source in column.derived_from:
            table, _, name = source.rpartition(".")
            assert name in TABLES[table].schema, source


# --- True ---


@pytest.mark.parametrize("view", STORED, ids=lambda view: view.name)
def test_what_is_computed_has_the_declared_columns(view: FeatureView, shop: FeatureStore) -> None:
    rows = shop.compute(view, january(11), january(11))
    assert rows.schema == view.table.schema
    assert rows.height
    assert rows.select(view.table.required).null_count().sum_horizontal().item() == 0
    assert rows.select(view.table.primary_key).is_unique().all()


@dataclass(frozen=True)
class Watched:
    """A past that notes which tables are read."""

    past: Past
    read: set[str]

    def rows(self, table: Table, first: date, last: date) -> Frame:
        self.read.add(table.name)
        return self.past.rows(table, first, last)

    def state(self, log: Table, as_of: date) -> Frame:
        self.read.add(log.name)
        return self.past.state(log, as_of)

    def total(self, table: Table, as_of: date) -> Frame:
        self.read.update(kept.source.name for kept in KEPT if kept.table is table)
        return self.past.total(table, as_of)


def watched(shop: FeatureStore, view: FeatureView) -> tuple[set[str], set[str]]:
    """The tables that a view reads and the rules that it calls, with and without a mapped catalogue."""
    read: set[str] = set()
    called: set[Any] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            called.add(frame.f_code)

    for platform in (shop.platform, without_catalogue(shop.platform)):
        known = Known(platform, january(11), january(11), Watched(LakePast(shop.lake, shop.engine), read))
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            view.compute(known)
        finally:
            sys.setprofile(before)
    return read, {name for name, rule in RULES.items() if rule.__code__ in called}


def without_catalogue(platform: Platform) -> Platform:
    mapped = {name: source for name, source in platform.sources.items() if name != "items"}
    return platform.model_copy(update={"sources": mapped})


@pytest.mark.parametrize("view", STORED, ids=lambda view: view.name)
def test_a_view_reads_the_tables_and_applies_the_rules_that_it_declares_and_no_others(
    view: FeatureView, shop: FeatureStore
) -> None:
    read, called = watched(shop, view)
    assert read == {table.name for table in view.inputs}
    assert called - {"daily_interactions"} == {rule.__name__ for rule in view.rules}


def test_every_rule_is_a_documented_function_of_the_one_module_and_some_view_applies_it() -> None:
    applied: set[Rule] = {rule for view in ALL for rule in view.rules}
    assert applied | {rules.daily_interactions} == set(RULES.values())
    for rule in RULES.values():
        assert inspect.getdoc(rule), rule.__name__
        assert inspect.signature(rule).return_annotation is Frame


@pytest.mark.parametrize("view", [view for view in SNAPSHOTS if view.window_days], ids=lambda view: view.name)
def test_a_view_says_how_far_it_looks_back(view: FeatureView, open_shop: OpenShop) -> None:
    assert view.window_days is not None
    edge = january(1).toordinal() + view.window_days - 1
    store = open_shop("1 ann purchase dune")
    inside, outside = (store.compute(view, day, day) for day in map(date.fromordinal, (edge, edge + 1)))
    purchases = "item_ids" if "item_ids" in inside.columns else "purchases"
    assert inside[purchases].to_list() in ([["dune"]], [1])
    assert outside[purchases].to_list() in ([], [0])


# --- In Dagster ---


@pytest.fixture(scope="module")
def materialized(shop: FeatureStore) -> dict[str, dict[str, Any]]:
    """Metadata of every stored view, as of day 7 or of the slot."""
    found = {}
    resources = {"lake": shop.lake, "engine": shop.engine}
    for asset in build_assets(shop.platform):
        if isinstance(asset, dg.AssetsDefinition) and asset.key.path[0] == "features":
            key = str(SLOT) if asset.key == dg.AssetKey(TRAINING_SET.key) else str(january(7))
            done = dg.materialize([asset], resources=resources, partition_key=key)
            (event,) = done.get_asset_materialization_events()
            found[asset.key.path[-1]] = dict(event.materialization.metadata)
    return found


def definitions_of(platform: Platform) -> dict[str, dg.AssetSpec]:
    """View to what Dagster knows of it before it was ever computed."""
    specs = [
        spec
        for one in build_assets(platform)
        for spec in ([one] if isinstance(one, dg.AssetSpec) else list(one.specs))
        if spec.key.path[0] == "features"
    ]
    return {spec.key.path[-1]: spec for spec in specs}


def test_every_view_is_an_asset_with_its_columns_described(tiny_platform: Platform) -> None:
    specs = definitions_of(tiny_platform)
    assert specs.keys() == VIEWS.keys()
    for name, spec in specs.items():
        shown = {column.name: column for column in spec.metadata["dagster/column_schema"].columns}
        assert list(shown) == VIEWS[name].table.schema.names()
        for column in VIEWS[name].table.columns:
            assert (shown[column.name].description or "").startswith(column.description)
            assert column.unit in (shown[column.name].description or "")
            assert shown[column.name].type == str(column.dtype)
            assert shown[column.name].constraints.nullable == column.is_nullable


def test_the_code_version_is_the_version_of_the_view(tiny_platform: Platform) -> None:
    specs = definitions_of(tiny_platform)
    assert {view.name: specs[view.name].code_version for view in STORED} == {view.name: view.version for view in STORED}


def test_every_materialization_shows_which_columns_its_columns_come_from(materialized: dict[str, Any]) -> None:
    assert materialized.keys() == {view.name for view in STORED}
    for view in STORED:
        lineage = materialized[view.name]["dagster/column_lineage"].value.deps_by_column
        shown = {
            name: {f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in deps}
            for name, deps in lineage.items()
        }
        assert shown == {one.name: set(one.derived_from) for one in view.table.columns if one.derived_from}


@pytest.mark.parametrize("view", STORED, ids=lambda view: view.name)
def test_columns_come_from_exactly_the_tables_that_the_view_reads(view: FeatureView) -> None:
    named = {one.rpartition(".")[0] for column in view.table.columns for one in column.derived_from}
    assert named == {table.name for table in view.inputs}


def test_every_materialization_shows_how_many_rows_it_wrote_and_where(
    materialized: dict[str, Any], shop: FeatureStore
) -> None:
    for view in STORED:
        partition = SLOT if view.partitions == "slot" else january(7)
        stored = shop.lake.scan(view.table, (partition, partition)).collect()
        assert materialized[view.name]["dagster/partition_row_count"].value == stored.height
        assert materialized[view.name]["dagster/uri"].value == shop.lake.uri(view.table.name)


MACHINES = {
    "without_test_accounts": 3,  # two rows of the one, one row of the other
    "without_bots": 3,  # six views of three items
}


@pytest.mark.parametrize(
    ("view", "counts"),
    [
        ("interactions", {}),
        ("user_profile", {**MACHINES, "without_refunded": 2}),  # emma, and the ulysses of day 6
        ("item_profile", {**MACHINES, "without_refunded": 2}),
        ("purchase_sequence", {**MACHINES, "without_refunded": 2}),
        # Owned: dune, walden and ulysses by ann, dune by bob, emma by the tester. Blocked, and not owned: by bob
        # one creator and one item. Everybody but ann may not see adult titles: bob, the bot and the testers.
        ("exclusions", {"owned": 5, "blocked": 3, "adult_permission": 4}),
        ("eligible_items", {"without_unreleased": 3, "without_withdrawn": 2}),
    ],
)
def test_how_much_each_rule_removed_is_counted(materialized: dict[str, Any], view: str, counts: dict[str, int]) -> None:
    assert materialized[view]["removed_by_rule"].value == counts


def test_of_a_training_set_the_rows_of_its_last_days_are_counted_too(materialized: dict[str, Any]) -> None:
    counted = materialized["training_set"]["removed_by_rule"].value
    # Emma was bought before the window. Of what was taken in the holdout, dune is owned by ann, nautilus is by a
    # blocked creator, fanny is for verified adults.
    assert counted == {**MACHINES, "without_refunded": 1, "without_excluded": 3}
    rows = {split: materialized["training_set"][f"{split}_rows"].value for split in ("train", "holdout", "release")}
    assert rows == {"train": 4, "holdout": 1, "release": 8}


def test_a_rule_that_is_off_removed_nothing(shop: FeatureStore) -> None:
    off = dict.fromkeys(("drop_test_accounts", "refunds_take_back", "owned_is_excluded", "blocks_apply"), False)
    switched = shop.platform.rules.model_copy(update={**off, "bots": None, "adult_needs_verification": False})
    store = replace(shop, platform=shop.platform.model_copy(update={"rules": switched}))
    for view in (VIEWS["user_profile"], VIEWS["exclusions"]):
        day = january(7)
        _, removed = store.compute_counted(view, store.plan(view, day, day), (day, day))
        assert set(removed.values()) == {0}
