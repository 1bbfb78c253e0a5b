"""A year of an e-book shop's files, drawn at random and written as fast as the disk takes them.

The shop's columns have its own names. A small share of the events is what real exports hold: rows without a customer,
rows delivered twice, words that nobody knows, and events of another day.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

FIRST_DAY = date(2025, 1, 1)
DAYS = 365
USERS = 300_000
ITEMS = 100_000
ITEMS_AT_FIRST = 70_000
PRICE_CHANGES_A_DAY = 300
BLOCKS_A_DAY = 60
ACTIONS = ("view", "basket", "buy", "return", "scroll")
ACTION_SHARES = (0.7798, 0.10, 0.11, 0.01, 0.0002)
CHANNELS = ("web", "app", "reader", "mail")
WITHOUT_CUSTOMER, OF_ANOTHER_DAY, DELIVERED_TWICE = 0.002, 0.0005, 0.005
MICROSECONDS = 86_400_000_000

CONFIGURATION = f"""\
time_zone: UTC
first_day: {FIRST_DAY}
last_day: {FIRST_DAY + timedelta(days=DAYS)}
sources:
  events:
    path: events/{{date}}.parquet
    format: parquet
    columns: {{user_id: customer, item_id: isbn, occurred_at: at, quantity: pieces, unit_price: paid}}
    event_type: {{column: action, translate: {{basket: cart, buy: purchase, return: refund}}}}
  items:
    path: books/{{date}}.parquet
    format: parquet
    columns: {{item_id: isbn, title: title, creator: author, category: shelf, price: price, released_on: on_sale,
              is_adult: adults_only}}
  users:
    path: customers/{{date}}.parquet
    format: parquet
    columns: {{user_id: customer, signed_up_on: since, is_adult_verified: of_age, is_test: internal}}
  user_blocks:
    path: hidden/{{date}}.parquet
    format: parquet
    columns: {{user_id: customer, target: what, target_id: which, is_blocked: hidden, changed_at: at}}
event_weights: {{view: 0.1, cart: 0.3, purchase: 1.0}}
families:
  popularity: {{window_days: 30, weight: 0}}
"""


@dataclass(frozen=True)
class Shop:
    """What stays the same over the year.

    Attributes:
        isbns: Name of each book; the first `ITEMS_AT_FIRST` are on sale from the first day.
        prices: Price of each book, float64.
        customers: Which user each of some millions of draws hits, int64: a few are far more active than others.
        books: Rank in popularity of each of some millions of draws, as a share of the catalogue, float64.
    """

    isbns: pl.Series
    prices: NDArray[np.float64]
    customers: NDArray[np.int64]
    books: NDArray[np.float64]


def write_landing(folder: Path, events: int, days: int = DAYS, seed: int = 0) -> None:
    """Write the files of the year, and of the day after it to the folder beside it that ends in `-next`.

    Args:
        folder: The landing.
        events: About how many events the year holds; duplicates come on top.
        days: Days of the year.
        seed: The same seed gives the same files.
    """
    shop = _shop(np.random.default_rng(seed), draws=min(4_000_000, max(events, 100_000)))
    for number in range(days + 1):
        rng = np.random.default_rng([seed, number])
        day = FIRST_DAY + timedelta(days=number)
        root = folder if number < days else folder.with_name(folder.name + "-next")
        tables = {
            "events": _events(rng, shop, day, round(events / days * rng.uniform(0.85, 1.15)), _on_sale(number, days)),
            "books": _books(rng, shop, day, number, days),
            "customers": _customers(rng, day, number, days),
            "hidden": _hidden(rng, shop, day),
        }
        for name, rows in tables.items():
            (root / name).mkdir(parents=True, exist_ok=True)
            rows.write_parquet(root / name / f"{day}.parquet", compression="lz4")


def _shop(rng: np.random.Generator, draws: int) -> Shop:
    activity = rng.lognormal(0.0, 1.4, USERS)
    return Shop(
        isbns=pl.Series("isbn", 9_780_000_000_000 + rng.permutation(10 * ITEMS)[:ITEMS]).cast(pl.String),
        prices=np.round(rng.gamma(4.0, 2.5, ITEMS) + 0.99, 2),
        customers=10_000_000 + rng.choice(USERS, draws, p=activity / activity.sum()),
        books=rng.power(0.35, draws),
    )


def _on_sale(number: int, days: int) -> int:
    """How many books are on sale on a day of the year."""
    return ITEMS_AT_FIRST + (ITEMS - ITEMS_AT_FIRST) * min(number, days) // days


def _events(rng: np.random.Generator, shop: Shop, day: date, rows: int, on_sale: int) -> pl.DataFrame:
    """The events of a day in the order of time: what was delivered twice comes twice."""
    start = rng.integers(len(shop.customers))
    places = (start + np.arange(rows)) % len(shop.customers)
    other = (rng.integers(len(shop.books)) + np.arange(rows)) % len(shop.books)
    book = (shop.books[other] * on_sale).astype(np.int64)
    action = rng.choice(len(ACTIONS), rows, p=ACTION_SHARES)
    moment = rng.integers(MICROSECONDS, size=rows)
    moment[rng.random(rows) < OF_ANOTHER_DAY] += MICROSECONDS
    midnight = int((datetime(day.year, day.month, day.day) - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001
    events = pl.DataFrame(
        {
            "customer": pl.Series(shop.customers[places]),
            "isbn": shop.isbns.gather(book),
            "action": pl.Series(ACTIONS).gather(action),
            "at": pl.Series(midnight * 1_000_000 + moment).cast(pl.Datetime("us", "UTC")),
            "pieces": pl.Series(np.where(rng.random(rows) < 0.02, 2, 1), dtype=pl.Int32),
            "paid": pl.Series(shop.prices[book]),
            "channel": pl.Series(CHANNELS).gather(rng.integers(len(CHANNELS), size=rows)),
        }
    ).with_columns(
        customer=pl.when(pl.Series(rng.random(rows) >= WITHOUT_CUSTOMER)).then("customer"),
        paid=pl.when(pl.col("action") != "view").then("paid"),
    )
    twice = events.filter(pl.Series(rng.random(rows) < DELIVERED_TWICE))
    return pl.concat([events, twice]).sort("at", maintain_order=True)


def _books(rng: np.random.Generator, shop: Shop, day: date, number: int, days: int) -> pl.DataFrame:
    """New books of a day, on the first day all that are on sale; and some with a new price."""
    known = 0 if number == 0 else _on_sale(number - 1, days)
    changed = rng.integers(known, size=PRICE_CHANGES_A_DAY) if known else np.empty(0, np.int64)
    book = np.concatenate([changed, np.arange(known, _on_sale(number, days))])
    name = pl.Series(book).cast(pl.String)
    return pl.DataFrame(
        {
            "isbn": shop.isbns.gather(book),
            "title": "Book " + name,
            "author": "Author " + pl.Series(book % 20_000).cast(pl.String),
            "shelf": "Shelf " + pl.Series(book % 40).cast(pl.String),
            "price": np.round(shop.prices[book] * rng.uniform(0.8, 1.2, len(book)), 2),
            "on_sale": pl.Series([day] * len(book), dtype=pl.Date),
            "adults_only": pl.Series(book % 25 == 0),
        }
    )


def _customers(rng: np.random.Generator, day: date, number: int, days: int) -> pl.DataFrame:
    """New users of a day, on the first day half of all."""
    edges = np.linspace(USERS / 2, USERS, days + 1).astype(np.int64)
    user = np.arange(0 if number == 0 else edges[number - 1], edges[number])
    return pl.DataFrame(
        {
            "customer": 10_000_000 + user,
            "since": pl.Series([day] * len(user), dtype=pl.Date),
            "of_age": pl.Series(rng.random(len(user)) < 0.6),
            "internal": pl.Series(user % 10_000 == 0),
        }
    )


def _hidden(rng: np.random.Generator, shop: Shop, day: date) -> pl.DataFrame:
    """What users do not want to see any more."""
    book = rng.integers(ITEMS_AT_FIRST, size=BLOCKS_A_DAY)
    is_author = pl.Series(rng.random(BLOCKS_A_DAY) < 0.3)
    rows = pl.DataFrame(
        {
            "customer": 10_000_000 + rng.integers(USERS, size=BLOCKS_A_DAY),
            "isbn": shop.isbns.gather(book),
            "author": "Author " + pl.Series(book % 20_000).cast(pl.String),
        }
    )
    moment = pl.Series(rng.integers(MICROSECONDS, size=BLOCKS_A_DAY))
    return rows.select(
        "customer",
        what=pl.when(is_author).then(pl.lit("creator")).otherwise(pl.lit("item")),
        which=pl.when(is_author).then("author").otherwise("isbn"),
        hidden=pl.lit(value=True),
        at=pl.lit(day).cast(pl.Datetime("us", "UTC")) + pl.lit(moment).cast(pl.Duration("us")),
    )
