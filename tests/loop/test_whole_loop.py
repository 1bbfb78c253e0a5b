"""What holds after a run: no row is lost, nothing forbidden is recommended, what is served is what was written."""

import gzip
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgpack
import polars as pl
from rich.console import Console

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.models import show_versions
from recsys_assets.columns import (
    ELIGIBLE_ITEMS,
    EVENTS,
    EXCLUSIONS,
    FINAL_RECOMMENDATIONS,
    INGESTED_FILES,
    REJECTED_ROWS,
    Table,
    recommendations_table,
)
from recsys_assets.serving.generations import current, read_list

LAST = date(2026, 2, 16)
FAMILIES = ("popularity", "als")


def newest(installation: Installation, table: Table) -> pl.DataFrame:
    return installation.lake.scan(table, (LAST, LAST)).collect()


def test_every_landed_row_is_accepted_or_set_aside_with_its_reason(finished: Installation, simulated: Any) -> None:
    files = finished.lake.scan(INGESTED_FILES).filter(pl.col("table") == "events").collect()
    store = simulated[1]
    assert files["parsed"].sum() == store.event_rows
    assert (files["accepted"] + files["rejected"] == files["parsed"]).all()
    assert finished.lake.scan(EVENTS).select(pl.len()).collect().item() == sum(store.events.values())
    rejected = finished.lake.scan(REJECTED_ROWS).filter(pl.col("table") == "events").collect()
    assert rejected.height == sum(store.dirty_rows.values()) > 0


def test_every_user_has_a_list_of_the_full_length_or_of_all_that_may_be_shown(finished: Installation) -> None:
    final = newest(finished, FINAL_RECOMMENDATIONS)
    assert final["user_id"].sort().to_list() == newest(finished, EXCLUSIONS)["user_id"].sort().to_list()
    assert final["item_ids"].list.len().max() == 200
    assert final["item_ids"].list.len().min() > 50
    assert (final["item_ids"].list.n_unique() == final["item_ids"].list.len()).all()


def test_no_list_of_any_family_holds_an_excluded_or_ineligible_item(finished: Installation) -> None:
    exclusions, eligible = newest(finished, EXCLUSIONS), newest(finished, ELIGIBLE_ITEMS)
    for table in (FINAL_RECOMMENDATIONS, *(recommendations_table(family) for family in FAMILIES)):
        pairs = newest(finished, table).select("user_id", item_id="item_ids").explode("item_id")
        assert pairs.join(eligible, on="item_id", how="anti").is_empty()
        offered = pairs.join(eligible, on="item_id").join(exclusions, on="user_id")
        assert offered.height == pairs.height > 0
        assert not offered.filter(
            pl.col("item_ids").list.contains(pl.col("item_id"))
            | pl.col("blocked_creators").list.contains(pl.col("creator"))
            | pl.col("blocked_categories").list.contains(pl.col("category"))
            | (pl.col("is_adult") & ~pl.col("may_see_adult"))
        ).height


def test_the_online_store_serves_to_every_user_what_the_lake_holds(finished: Installation) -> None:
    client = finished.online_store.connect()
    generation = current(client)
    assert generation is not None
    for user, items in newest(finished, FINAL_RECOMMENDATIONS).select("user_id", "item_ids").iter_rows():
        assert msgpack.unpackb(client.get(f"recs:{generation.name}:{user}")) == items
    excluded = newest(finished, EXCLUSIONS).filter(pl.col("item_ids").list.len() > 0).row(0, named=True)
    members = client.smembers(f"owned:{generation.name}:{excluded['user_id']}")
    assert {one.decode() for one in members} == set(excluded["item_ids"])
    client.close()


def test_an_unknown_user_is_served_titles_fit_for_everybody(finished: Installation) -> None:
    client = finished.online_store.connect()
    found = read_list(client, "nobody knows me")
    client.close()
    assert found is not None
    _, items, is_own = found
    adult = newest(finished, ELIGIBLE_ITEMS).filter("is_adult")["item_id"]
    assert len(items) > 100
    assert not is_own
    assert not set(items) & set(adult)
    assert adult.len() > 0


def test_personal_lists_differ_and_say_what_brought_each_item(finished: Installation) -> None:
    personal = newest(finished, FINAL_RECOMMENDATIONS).filter(~pl.col("is_fallback"))
    assert personal["item_ids"].list.head(10).n_unique() > personal.height * 0.9
    assert set(personal["sources"].list.first()) == {"als"}
    assert (personal["sources"].list.len() == personal["item_ids"].list.len()).all()


def test_a_second_run_starts_nothing_and_writes_nothing(finished: Installation, run_all: Callable[..., Any]) -> None:
    tables = (EVENTS, INGESTED_FILES, FINAL_RECOMMENDATIONS)
    before = [finished.lake.version(table.name) for table in tables]
    runs = len(finished.instance.get_runs())
    assert run_all(finished) == []
    assert [finished.lake.version(table.name) for table in tables] == before
    assert len(finished.instance.get_runs()) == runs


def test_the_table_of_models_says_what_is_in_production_since_when(finished: Installation) -> None:
    console = Console(width=120)
    with console.capture() as capture:
        show_versions(finished, console)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    rows = [line.split() for line in lines[: lines.index("Decisions, the newest first")]]
    found = [row for row in rows if row and row[0] in FAMILIES]
    assert [row[:3] for row in found] == [[family, "1", "2026-02-18"] for family in FAMILIES]
    assert "passed every check of the gate" in " ".join(capture.get().split())
    assert all(len(line) <= 120 for line in lines)


def test_a_changed_day_is_ingested_again_and_the_lists_follow(
    copied: Installation, run_all: Callable[..., Any]
) -> None:
    events = Path(copied.settings.landing) / "events"
    bought_by = newest(copied, FINAL_RECOMMENDATIONS).filter(~pl.col("is_fallback")).row(0, named=True)
    user, item = bought_by["user_id"], bought_by["item_ids"][0]
    late = f"user,book,action,at,pieces,price\n{user},{item},purchase,2026-01-20T10:00:00,1,4.99\n"
    (events / "2026-01-20.csv.gz").unlink()
    (events / "2026-01-20.csv.gz").write_bytes(gzip.compress(late.encode()))
    runs = run_all(copied)
    assert [(one.start.job, one.start.first, one.errors) for one in runs] == [
        ("ingest", date(2026, 1, 20), ()),
        ("recommend", LAST, ()),
    ]
    lists = newest(copied, FINAL_RECOMMENDATIONS).filter(pl.col("user_id") == user)
    assert item not in lists["item_ids"].item().to_list()
