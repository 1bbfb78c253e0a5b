"""A person who is forgotten is nowhere any more, and does not come back."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from recsys_assets.cli.installation import Installation
from recsys_assets.columns import EXCLUSIONS, FORGOTTEN_USERS, INGESTED_FILES, INTERACTIONS, REJECTED_ROWS, TRAINING_SET
from recsys_assets.forgetting import NOT_REPRODUCIBLE, Forgotten, forget
from recsys_assets.serving.generations import current, read_list

TODAY = date(2026, 11, 23)
TABLES = {"interactions": INTERACTIONS, "exclusions": EXCLUSIONS, "rejected_rows": REJECTED_ROWS}


def busiest(installation: Installation) -> str:
    """The user with the most rows that models were trained on, of those who also have rejected ones."""
    raw = installation.lake.scan(REJECTED_ROWS).filter(table="events").select("raw").collect()["raw"]
    named = {user for text in raw for user in re.findall(r"U\d{6}", text)}
    users = installation.lake.scan(TRAINING_SET).group_by("user_id").len().sort("len", "user_id", descending=True)
    return next(str(user) for user in users.collect()["user_id"] if user in named)


def forget_user(installation: Installation, user: str) -> Forgotten:
    client = installation.online_store.connect()
    done = forget(
        user,
        TODAY,
        installation.lake,
        installation.model_registry,
        installation.platform.families,
        client,
    )
    client.close()
    return done


def places(installation: Installation, user: str) -> Iterator[str]:
    """Every data file, current or older, and every log and database of the installation that names the user."""
    home = installation.settings.home
    for path in home.rglob("*"):
        if path.suffix == ".parquet" and "_delta_log" not in path.parts:
            rows = pl.read_parquet(path)
            texts = [name for name, dtype in rows.schema.items() if dtype == pl.String]
            if rows.select(pl.any_horizontal(pl.col(name).str.contains(rf"\b{user}\b") for name in texts).any()).item():
                yield str(path.relative_to(home))
        elif path.is_file() and "valkey" not in path.parts and re.search(rf"\b{user}\b".encode(), path.read_bytes()):
            yield str(path.relative_to(home))


def test_a_forgotten_user_is_in_no_file_of_the_installation_and_in_no_list(
    copied: Installation, run_all: Callable[..., Any]
) -> None:
    user = busiest(copied)
    before = {name: copied.lake.scan(table).select(pl.len()).collect().item() for name, table in TABLES.items()}
    assert len(list(places(copied, user))) > 10
    done = forget_user(copied, user)
    assert list(places(copied, user)) == []
    after = {name: copied.lake.scan(table).select(pl.len()).collect().item() for name, table in TABLES.items()}
    assert {name: before[name] - after[name] for name in TABLES} == {
        "interactions": done.rows["features/interactions"],
        "exclusions": 1,
        "rejected_rows": 0,
    }
    assert done.rows["sources/rejected_rows"] > 0
    client = copied.online_store.connect()
    found, generation = read_list(client, user), current(client)
    assert found is not None
    assert generation is not None
    assert found[2] is False
    assert generation.lists == after["exclusions"] == len(list(client.scan_iter(f"recs:{generation.name}:*")))
    client.close()
    assert not [one.errors for one in run_all(copied) if one.errors]
    assert list(places(copied, user)) == []


def test_versions_trained_on_them_are_named_and_old_versions_of_tables_cannot_be_read(copied: Installation) -> None:
    user = busiest(copied)
    table = DeltaTable(copied.lake.uri("features/training_set"))
    done = forget_user(copied, user)
    assert sorted((one.family, one.version) for one in done.versions) == [("als", 1), ("popularity", 1)]
    assert all(NOT_REPRODUCIBLE in one.tags for one in copied.model_registry.versions("als"))
    with pytest.raises(OSError, match=r"No such file|not found"):
        pl.scan_delta(table.table_uri, version=table.version()).collect()


def test_forgetting_twice_or_somebody_unknown_changes_nothing_more(copied: Installation) -> None:
    assert forget_user(copied, "nobody-knows-me").rows == {}
    user = busiest(copied)
    assert forget_user(copied, user).rows
    again = forget_user(copied, user)
    assert (again.rows, again.online_keys) == ({}, 0)
    assert copied.lake.scan(FORGOTTEN_USERS).select(pl.len()).collect().item() == 2


def test_taking_in_the_same_files_again_sets_their_rows_aside_and_brings_nobody_back(
    copied: Installation, run_all: Callable[..., Any]
) -> None:
    user = busiest(copied)
    rows = copied.lake.scan(INTERACTIONS).filter(user_id=user).select("ds").collect()
    forget_user(copied, user)
    for file in Path(copied.settings.landing).rglob(f"*{rows['ds'].max()}*"):
        file.write_bytes(file.read_bytes())  # touched: it is taken in again
    assert [one.errors for one in run_all(copied)][:1] == [()]
    assert copied.lake.scan(INTERACTIONS).filter(user_id=user).collect().is_empty()
    aside = copied.lake.scan(REJECTED_ROWS).filter(reason="forgotten").collect()
    assert aside.height > 0
    assert set(aside["raw"]) == {""}
    files = copied.lake.scan(INGESTED_FILES).collect()
    assert (files["accepted"] + files["rejected"] == files["parsed"]).all()
    assert list(places(copied, user)) == []
