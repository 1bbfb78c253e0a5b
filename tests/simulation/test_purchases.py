"""Who buys what: the rules of the shop hold for every purchase in the files."""

from datetime import timedelta

import polars as pl


def purchases_with_books_as_of_their_day(store) -> pl.DataFrame:
    log = store.items.sort("ds").rename({"price": "list_price"})
    bought = store.events.filter(action="purchase").sort("ds")
    return bought.join_asof(log, on="ds", by="book", check_sortedness=False)


def test_nobody_buys_what_they_own_and_only_owned_books_are_given_back(store) -> None:
    owned: set[tuple[str, str]] = set()
    for user, book, action in store.events.select("user", "book", "action").iter_rows():
        if action == "purchase":
            assert (user, book) not in owned
            owned.add((user, book))
        elif action == "refund":
            assert (user, book) in owned
            owned.remove((user, book))


def test_a_book_that_was_given_back_may_be_bought_again(store) -> None:
    bought = store.events.filter(action="purchase").select("user", "book")
    again = bought.filter(bought.is_duplicated()).unique()
    returned = store.events.filter(action="refund").select("user", "book").unique()
    assert len(again) > 0
    assert again.join(returned, on=["user", "book"], how="anti").is_empty()


def test_a_refund_returns_the_price_paid_within_fourteen_days(store) -> None:
    bought = store.events.filter(action="purchase").sort("at")
    returned = store.events.filter(action="refund").sort("at")
    pairs = returned.join_asof(
        bought.select("user", "book", "at", paid="price", bought_at="at", bought_on="ds"),
        on="at",
        by=["user", "book"],
        check_sortedness=False,
    )
    waited = pairs["ds"] - pairs["bought_on"]
    assert (pairs["price"] == pairs["paid"]).all()
    assert (pairs["at"] > pairs["bought_at"]).all()
    assert waited.min() == timedelta(0)
    assert timedelta(days=7) < waited.max() <= timedelta(days=14)


def test_only_released_books_on_sale_are_bought_at_the_price_of_the_day(store) -> None:
    bought = purchases_with_books_as_of_their_day(store)
    assert (bought["released"] <= bought["ds"]).all()
    assert bought["withdrawn"].is_null().all()
    assert (bought["price"] == bought["list_price"]).all()


def test_only_verified_adults_buy_adult_titles(store) -> None:
    accounts = store.users.sort("ds").select("ds", "user", "adult_verified")
    bought = purchases_with_books_as_of_their_day(store).filter("adult")
    as_known = bought.join_asof(accounts, on="ds", by="user", check_sortedness=False)
    assert len(as_known) > 50
    assert as_known["adult_verified"].all()


def test_nobody_buys_what_they_block_themselves_or_by_author_or_genre(store) -> None:
    bought = purchases_with_books_as_of_their_day(store).sort("at")
    blocks = store.blocks.with_columns(pl.col("at").str.to_datetime(), key=pl.col("which")).sort("at")
    for what, column in (("item", "book"), ("creator", "author"), ("category", "genre")):
        of_this_kind = blocks.filter(what=what).select("user", "key", "at", "blocked")
        as_blocked = bought.with_columns(key=pl.col(column)).join_asof(
            of_this_kind, on="at", by=["user", "key"], check_sortedness=False
        )
        assert not as_blocked["blocked"].fill_null(value=False).any()


def test_blocks_are_lifted_only_where_they_stand(store) -> None:
    standing: set[tuple[str, str, str]] = set()
    for user, what, which, is_blocked in store.blocks.select("user", "what", "which", "blocked").iter_rows():
        assert ((user, what, which) in standing) is not is_blocked
        standing ^= {(user, what, which)}
    assert set(store.blocks["what"]) == {"item", "creator", "category"}
    assert set(store.blocks["blocked"]) == {True, False}


def test_every_purchase_follows_a_look_of_the_same_day(store) -> None:
    looks = store.events.filter(action="view").group_by("ds", "user", "book").agg(looked_at=pl.col("at").min())
    bought = store.events.filter(action="purchase").join(looks, on=["ds", "user", "book"], how="left")
    assert (bought["looked_at"] < bought["at"]).fill_null(value=False).all()
