"""How readers, staff and machines behave: what is there to learn, and what is only noise."""

from datetime import date

import polars as pl
import pytest


def readers_purchases(store) -> pl.DataFrame:
    strangers = [*store.summary.bot_ids, *store.summary.test_account_ids]
    books = store.items.unique("book", keep="last").select("book", "title", "author", "genre")
    bought = store.events.filter(pl.col("action") == "purchase", ~pl.col("user").is_in(strangers))
    return bought.join(books, on="book")


def next_volumes(store) -> pl.DataFrame:
    """Pairs of a volume and the next one of its series."""
    books = store.items.unique("book", keep="last").select(
        "book",
        "author",
        series=pl.col("title").str.extract(r"(?s)^(.*), Vol\. \d+$"),
        volume=pl.col("title").str.extract(r", Vol\. (\d+)$").cast(pl.Int64),
    )
    followed = books.drop_nulls("series").with_columns(pl.col("volume") + 1)
    unique = followed.unique(["author", "series", "volume"], keep="none")
    return unique.join(books, on=["author", "series", "volume"], suffix="_next").select("book", "book_next")


def test_readers_of_a_volume_buy_the_next_one_far_more_often_than_others(store) -> None:
    bought = readers_purchases(store).select("user", "book").unique()
    pairs = next_volumes(store)
    followers = bought.join(pairs, on="book")
    went_on = followers.join(bought, left_on=["user", "book_next"], right_on=["user", "book"])
    share_of_followers = len(went_on) / len(followers)
    buyers_of_next = bought.join(pairs, left_on="book", right_on="book_next")
    share_of_anybody = len(buyers_of_next) / len(pairs) / bought["user"].n_unique()
    assert len(followers) > 300
    assert share_of_followers > 5 * share_of_anybody


def test_the_next_volume_is_mostly_bought_within_days(store) -> None:
    bought = readers_purchases(store).select("user", "book", "ds").unique(["user", "book"], keep="first")
    both = bought.join(next_volumes(store), on="book").join(
        bought, left_on=["user", "book_next"], right_on=["user", "book"], suffix="_next"
    )
    waited = (both["ds_next"] - both["ds"]).dt.total_days()
    in_order = waited.filter(waited > 0)
    assert len(in_order) > 0.8 * len(waited)
    assert in_order.median() <= 5


def test_owners_of_a_series_come_back_when_a_new_volume_is_released(store) -> None:
    kept = readers_purchases(store).join(store.events.filter(action="refund"), on=["user", "book"], how="anti")
    releases = store.items.group_by(book_next="book").agg(pl.col("released").last())
    new = releases.filter(pl.col("released").is_between(date(2026, 1, 26), date(2026, 2, 10)))
    fans = kept.join(next_volumes(store).join(new, on="book_next"), on="book").filter(pl.col("ds") < pl.col("released"))
    bought = store.events.filter(action="purchase").select("user", "ds", book_next="book")
    came = fans.join(bought, on=["user", "book_next"], suffix="_next")
    assert len(fans) > 50
    assert len(came.filter(pl.col("ds_next") <= pl.col("released") + pl.duration(days=5))) > 0.25 * len(fans)


def test_readers_keep_to_few_genres_even_where_no_series_leads_them(store) -> None:
    bought = readers_purchases(store)
    first_volumes = bought.filter(~pl.col("title").str.contains(r", Vol\. ([2-9]|\d\d)$"))
    shuffled = first_volumes.with_columns(pl.col("genre").shuffle(seed=0))
    assert share_of_top_genre(first_volumes) > 1.4 * share_of_top_genre(shuffled)


def share_of_top_genre(bought: pl.DataFrame) -> float:
    """Of the purchases of an eager reader, the share in the genre that the reader buys most; the mean."""
    per_genre = bought.group_by("user", "genre").len()
    per_user = per_genre.group_by("user").agg(top=pl.col("len").max(), total=pl.col("len").sum())
    eager = per_user.filter(pl.col("total") >= 8)
    return (eager["top"] / eager["total"]).mean()


@pytest.mark.parametrize("key", ["user", "book"])
def test_a_few_readers_and_a_few_books_make_most_of_the_purchases(store, key: str) -> None:
    counts = readers_purchases(store)[key].value_counts(sort=True)["count"]
    assert counts.head(len(counts) // 5).sum() > 0.45 * counts.sum()


def test_books_draw_more_looks_just_after_their_release(store) -> None:
    released = store.items.group_by("book").agg(pl.col("released").last())
    looks = store.events.filter(action="view").join(released, on="book")
    age_days = (looks["ds"] - looks["released"]).dt.total_days()
    new = released.filter(pl.col("released") > date(2026, 1, 5), pl.col("released") < date(2026, 2, 2))
    of_new = age_days.filter(looks["book"].is_in(new["book"].implode()))
    assert of_new.is_between(0, 6).sum() > 1.3 * of_new.is_between(7, 13).sum()


def test_only_bots_have_more_than_300_events_on_a_day(store) -> None:
    busy = store.events.group_by("ds", "user").len().filter(pl.col("len") > 300)
    assert set(busy["user"]) == set(store.summary.bot_ids)


def test_bots_look_and_do_nothing_else(store) -> None:
    of_bots = store.events.filter(pl.col("user").is_in(store.summary.bot_ids))
    assert set(of_bots["action"]) == {"view"}


def test_test_accounts_click_many_times_as_much_as_readers(store) -> None:
    views = store.events.filter(action="view").group_by("user").len()
    is_test, is_bot = (pl.col("user").is_in(ids) for ids in (store.summary.test_account_ids, store.summary.bot_ids))
    assert views.filter(is_test)["len"].mean() > 5 * views.filter(~is_test & ~is_bot)["len"].mean()


def test_newcomers_act_from_the_day_of_their_registration(store) -> None:
    joined = store.users.group_by("user").agg(pl.col("signed_up").first().str.to_date())
    newcomers = joined.filter(pl.col("signed_up") > date(2026, 1, 5))
    acted = store.events.join(newcomers, on="user")
    assert acted["user"].n_unique() > 0.5 * len(newcomers)
    assert (acted["ds"] >= acted["signed_up"]).all()
