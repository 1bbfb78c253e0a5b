"""The files: what the bundled mapping needs is there, and they are whole, ordered and reproducible."""

from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.platform import BUNDLED_CONFIG, load_platform
from recsys_assets.simulation import StoreParameters, simulate


def contents(landing: Path) -> dict[str, bytes]:
    return {str(path.relative_to(landing)): path.read_bytes() for path in landing.rglob("*") if path.is_file()}


def tiny(**chosen: int) -> StoreParameters:
    return StoreParameters(first_day=date(2026, 1, 5), users=40, items=40, bots=1, dirty_row_share=0.05, **chosen)


def test_the_same_parameters_write_the_same_bytes_even_over_older_files(tmp_path: Path) -> None:
    simulate(tiny(days=4, seed=1), tmp_path / "once")
    simulate(tiny(days=4, seed=2), tmp_path / "twice")
    simulate(tiny(days=4, seed=1), tmp_path / "twice")
    assert contents(tmp_path / "once") == contents(tmp_path / "twice")


def test_another_seed_writes_another_store(tmp_path: Path) -> None:
    simulate(tiny(days=1, seed=1), tmp_path / "one")
    simulate(tiny(days=1, seed=2), tmp_path / "other")
    one, other = contents(tmp_path / "one"), contents(tmp_path / "other")
    assert all(one[name] != other[name] for name in ("events/2026-01-05.csv.gz", "items/2026-01-05.csv"))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**40), days=st.integers(1, 12), more=st.integers(1, 8), new_items=st.integers(0, 5))
def test_a_longer_simulation_begins_with_the_same_files(seed: int, days: int, more: int, new_items: int) -> None:
    with TemporaryDirectory() as folder:
        short, long = Path(folder, "short"), Path(folder, "long")
        simulate(tiny(seed=seed, days=days, new_items_per_day=new_items), short)
        simulate(tiny(seed=seed, days=days + more, new_items_per_day=new_items), long)
        first_day_after = (date(2026, 1, 5) + timedelta(days=days)).isoformat()
        known = {name: data for name, data in contents(long).items() if Path(name).name < first_day_after}
        assert contents(short) == known


def test_each_day_is_announced_when_its_files_are_whole(tmp_path: Path) -> None:
    seen = []

    def look(day: date) -> None:
        names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
        assert not any(name.startswith(".") for name in names)
        assert {f"{day}.csv.gz", f"{day}.csv", f"{day}.jsonl"} <= names
        seen.append(day)

    simulate(tiny(days=3), tmp_path, look)
    assert seen == [date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)]


def test_a_day_on_which_nothing_changed_has_no_file(tmp_path: Path) -> None:
    simulate(tiny(days=2, blocks_per_thousand_users=1_000), tmp_path)
    simulate(tiny(days=2, blocks_per_thousand_users=0), tmp_path)
    assert list((tmp_path / "blocks").iterdir()) == []


def test_the_bundled_mapping_finds_every_file_and_column(store) -> None:
    readers = {"csv": lambda path: pl.read_csv(path, infer_schema=False, n_rows=0), "jsonl": pl.read_ndjson}
    sources = load_platform(BUNDLED_CONFIG).sources
    for mapping in (mapping for table, mapping in sources.items() if table != "impressions"):  # nobody is shown lists
        path = store.landing / mapping.path.replace("{date}", "2026-01-05")
        assert set(mapping.file_columns) <= set(readers[mapping.format](path).columns)


def test_good_rows_lie_in_order_of_time(store) -> None:
    assert store.events["at"].is_sorted()


def test_the_summary_counts_what_the_files_hold(store) -> None:
    summary = store.summary
    assert dict(store.events["action"].value_counts().rows()) == summary.events
    assert len(store.lines) == summary.event_rows
    assert (len(store.items), len(store.users), len(store.blocks)) == (
        summary.item_rows,
        summary.user_rows,
        summary.block_rows,
    )
    assert (store.items["book"].n_unique(), store.users["user"].n_unique()) == (summary.items, summary.users)
    assert summary.refunds > 0


def test_test_accounts_are_marked_in_the_files_and_bots_are_not(store) -> None:
    marked = store.users.filter("test_account")["user"].unique().sort()
    assert tuple(marked) == store.summary.test_account_ids
    assert not set(marked) & set(store.summary.bot_ids)


def test_no_change_log_names_a_thing_twice_on_one_day(store) -> None:
    for log, key in (
        (store.items, ["book"]),
        (store.users, ["user"]),
        (store.blocks, ["user", "what", "which"]),
    ):
        assert not log.select("ds", *key).is_duplicated().any()


def test_events_name_only_users_and_books_that_have_landed(store) -> None:
    for log, key in ((store.users, "user"), (store.items, "book")):
        first_seen = log.group_by(key).agg(known_since=pl.col("ds").min())
        known = store.events.join(first_seen, on=key, how="left")
        assert known.select((pl.col("known_since") <= pl.col("ds")).fill_null(value=False).all()).item()
