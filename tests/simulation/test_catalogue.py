"""The catalogue in the files: series, announcements, offers, withdrawals, and names that do not collide."""

from datetime import date

import polars as pl

from recsys_assets.simulation.names import author_name

FIRST_DAY = date(2026, 1, 5)


def test_the_first_day_lists_the_whole_catalogue_and_later_days_what_changed(store, parameters) -> None:
    per_day = store.items.group_by("ds").len().sort("ds")["len"]
    assert per_day[0] == parameters.items
    assert per_day[1:].min() >= parameters.new_items_per_day
    assert per_day[1:].max() < parameters.items / 5


def test_a_row_that_is_not_new_differs_from_the_one_before(store) -> None:
    values = pl.struct("price", "withdrawn")
    repeated = store.items.sort("book", "ds").filter(
        (values == values.shift()).fill_null(value=False), pl.col("book") == pl.col("book").shift()
    )
    assert repeated.is_empty()


def test_volumes_of_a_series_share_author_and_genre_and_come_out_in_order(store) -> None:
    volumes = store.items.unique("book", keep="first").with_columns(
        series=pl.col("title").str.extract(r"(?s)^(.*), Vol\. \d+$"),
        volume=pl.col("title").str.extract(r", Vol\. (\d+)$").cast(pl.Int64),
    )
    series = volumes.drop_nulls("series").sort("author", "series", "volume")
    per_author = series.group_by("author", "series").agg(
        pl.col("genre").n_unique(), pl.col("volume"), in_order=pl.col("released").diff().dt.total_days().min()
    )
    unambiguous = per_author.filter(pl.col("volume").list.n_unique() == pl.col("volume").list.len())
    assert unambiguous["volume"].list.len().max() >= 5
    assert (unambiguous["genre"] == 1).all()
    assert (unambiguous["in_order"].fill_null(1) > 0).all()


def test_some_titles_are_announced_before_their_release(store) -> None:
    announced = store.items.filter(pl.col("released") > pl.col("ds"))
    ahead = (announced["released"] - announced["ds"]).dt.total_days()
    assert len(ahead) > 20
    assert ahead.max() <= 7


def test_withdrawn_titles_sometimes_come_back_and_prices_change(store) -> None:
    log = store.items.sort("book", "ds").with_columns(
        is_same_book=pl.col("book") == pl.col("book").shift(),
        was_withdrawn=pl.col("withdrawn").shift().is_not_null(),
        price_before=pl.col("price").shift(),
    )
    later = log.filter("is_same_book")
    assert later.filter(pl.col("withdrawn") == pl.col("ds")).height > 0
    assert later.filter(pl.col("was_withdrawn"), pl.col("withdrawn").is_null()).height > 0
    assert later.filter(pl.col("price") != pl.col("price_before")).height > 10


def test_titles_hold_quotes_commas_and_line_ends_as_real_ones_do(store) -> None:
    titles = store.items["title"]
    assert titles.str.contains('"', literal=True).any()
    assert titles.str.contains("\n", literal=True).any()
    assert titles.str.contains(", ", literal=True).any()


def test_no_two_authors_share_a_name() -> None:
    assert len({author_name(author) for author in range(200_000)}) == 200_000
