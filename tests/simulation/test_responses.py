"""Readers and the lists that they are shown: what is noticed, what is liked, and what the files say of it."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_assets.simulation import StoreParameters, simulate
from recsys_assets.simulation.days import simulated_days
from recsys_assets.simulation.responses import Shown

FIRST_DAY, DAYS, LENGTH = date(2026, 1, 5), 12, 10
PARAMETERS = StoreParameters(first_day=FIRST_DAY, days=DAYS, users=400, items=300, bots=2, dirty_row_share=0)


def random_lists(day: date, seed: int = 3) -> pl.DataFrame:
    """Ten books for each of the first users, drawn anew each day, as a table of the platform would say it."""
    rng = np.random.default_rng([seed, day.toordinal()])
    books = np.stack([rng.permutation(300)[:LENGTH] for _ in range(400)]).ravel()
    return pl.DataFrame(
        {
            "user_id": [f"U{user:06}" for user in range(400) for _ in range(LENGTH)],
            "item_id": [f"B{book:07}" for book in books],
            "position": np.tile(np.arange(1, LENGTH + 1), 400),
            "family": "als",
            "version": "7",
            "arm": "default",
        }
    )


def impressions_in(landing: Path) -> pl.DataFrame:
    files = sorted((landing / "impressions").glob("*.csv.gz"))
    return pl.concat(pl.read_csv(path, schema_overrides={"version": pl.String}, try_parse_dates=True) for path in files)


def events_in(landing: Path) -> pl.DataFrame:
    files = sorted((landing / "events").glob("*.csv.gz"))
    return pl.concat(pl.read_csv(path, try_parse_dates=True, infer_schema_length=None) for path in files)


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that shows random lists from its first day on."""
    folder = tmp_path_factory.mktemp("shown")
    simulate(PARAMETERS, folder, lists_of=random_lists)
    return folder


def test_a_shop_that_shows_no_lists_has_no_impressions_and_is_otherwise_what_it_always_was(tmp_path: Path) -> None:
    simulate(PARAMETERS, tmp_path / "silent")
    assert not (tmp_path / "silent" / "impressions").exists()
    simulate(PARAMETERS, tmp_path / "empty", lists_of=lambda day: random_lists(day).clear())
    one, other = (events_in(tmp_path / name) for name in ("silent", "empty"))
    assert one.equals(other)


def test_whoever_comes_is_shown_the_whole_of_their_own_list_once(landing: Path) -> None:
    shown = impressions_in(landing)
    assert not shown.is_empty()
    for (day,), rows in shown.group_by(pl.col("at").dt.date()):
        lists = random_lists(day)
        assert (
            rows.select("user", "book", "place")
            .join(lists, left_on=["user", "book", "place"], right_on=["user_id", "item_id", "position"], how="anti")
            .is_empty()
        )
        per_user = rows.group_by("user").agg(pl.len(), pl.col("request").n_unique().alias("requests"))
        assert per_user["len"].unique().to_list() == [LENGTH]
        assert per_user["requests"].unique().to_list() == [1]
    assert 0.1 < shown["request"].n_unique() / (DAYS * 400) < 0.5


def test_each_look_at_a_list_is_an_event_after_the_list_was_shown_and_upper_places_are_looked_at_more(
    landing: Path, tmp_path: Path
) -> None:
    simulate(PARAMETERS, tmp_path, lists_of=lambda day: random_lists(day).clear())
    views = pl.col("action") == "view"
    without = events_in(tmp_path).filter(views).select("user", "book", "at")
    looks = (
        events_in(landing)
        .filter(views)
        .select("user", "book", "at")
        .join(without, on=["user", "book", "at"], how="anti")
    )
    clicked = (
        impressions_in(landing)
        .join(looks.rename({"at": "looked_at"}), on=["user", "book"])
        .filter(pl.col("looked_at").is_between("at", pl.col("at") + timedelta(minutes=5), closed="right"))
    )
    assert clicked.height > 100
    by_place = clicked.group_by("place").len().sort("place")["len"].to_list()
    assert sum(by_place[:3]) > 1.5 * sum(by_place[-3:])


def test_lists_that_know_the_readers_tastes_are_looked_at_far_more_than_lists_by_chance() -> None:
    parameters = replace(PARAMETERS, items=1_500, bots=0, test_account_share=0)

    def liked_lists(today: int) -> Shown:
        """Books of each reader's dearest shelf, in a store whose first state we know."""
        rng = np.random.default_rng(today)
        user = np.repeat(np.arange(400), LENGTH)
        book = np.concatenate(
            [rng.choice(np.flatnonzero(state.catalogue.shelf == shelf), LENGTH) for shelf in tastes[:, 0]]
        )
        assert len(book) == len(user)
        words = np.full(len(user), "als", dtype=object)
        return Shown(user, book, np.tile(np.arange(1, LENGTH + 1), 400), words, words, words)

    def by_chance(today: int) -> Shown:
        liked = liked_lists(today)
        book = np.random.default_rng(today).integers(1_500, size=len(liked))
        return Shown(liked.user, book, liked.position, liked.family, liked.version, liked.arm)

    state = next(iter(simulated_days(parameters))).state
    tastes = state.people.tastes[:400]
    views = {
        lists: sum(int((day.events.action == 0).sum()) for day in simulated_days(parameters, lists))
        for lists in (None, by_chance, liked_lists)
    }
    assert views[liked_lists] - views[None] > 2 * (views[by_chance] - views[None]) > 0


def test_what_was_shown_stays_so_when_the_same_days_are_simulated_again(landing: Path) -> None:
    before = {path: path.read_bytes() for path in landing.rglob("*.gz")}
    simulate(PARAMETERS, landing, lists_of=lambda day: random_lists(day, seed=4))
    assert {path: path.read_bytes() for path in landing.rglob("*.gz")} == before


def test_files_of_a_larger_store_are_replaced(tmp_path: Path) -> None:
    simulate(PARAMETERS, tmp_path, lists_of=random_lists)
    smaller = StoreParameters(first_day=FIRST_DAY, days=2, users=50, items=60, new_items_per_day=0, dirty_row_share=0)
    simulate(smaller, tmp_path)
    shown = pl.read_csv(tmp_path / "impressions" / f"{FIRST_DAY}.csv.gz")
    assert shown.filter(pl.col("user") >= "U000056", pl.col("book") >= "B0000060").is_empty()
