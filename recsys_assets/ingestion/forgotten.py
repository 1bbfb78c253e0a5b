"""Who was forgotten: kept as digests, so that taking in an older file again brings nobody back. Removing stays out."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.columns import FORGOTTEN_USERS
from resources.lake import DeltaLake

REASON = "forgotten"


@dataclass(frozen=True)
class ForgottenUsers:
    """People whose rows are not taken in.

    Attributes:
        key: The key of the digests; all of a lake share it.
        until: Digest to the day of the request: what lands for a later day is a new acquaintance.
    """

    key: str
    until: Mapping[str, date]

    def are_in(self, rows: pl.DataFrame) -> pl.Series:
        """Whether each row, with user_id and ds, is about one of them."""
        users = rows.select(pl.col("user_id").drop_nulls().unique())
        until = [self.until.get(digest_of(user, self.key)) for user in users["user_id"]]
        known = users.with_columns(pl.Series("until", until, dtype=pl.Date))
        joined = rows.select("ds", "user_id").join(known, on="user_id", how="left", maintain_order="left")
        return joined.select((pl.col("ds") <= pl.col("until")).fill_null(value=False)).to_series()


def read_forgotten(lake: DeltaLake) -> ForgottenUsers | None:
    """Everybody who was forgotten; None as long as nobody was."""
    rows = lake.scan(FORGOTTEN_USERS).collect()
    if rows.is_empty():
        return None
    newest = rows.group_by("user_digest").agg(pl.col("ds").max())
    return ForgottenUsers(str(rows["key"].item(0)), dict(newest.select("user_digest", "ds").iter_rows()))


def remember(user_id: str, today: date, lake: DeltaLake) -> None:
    """Keep the digest of a person who is forgotten today."""
    known = read_forgotten(lake)
    key = secrets.token_hex(16) if known is None else known.key
    digest = digest_of(user_id, key)
    row = pl.DataFrame([(today, digest, key)], schema=FORGOTTEN_USERS.schema, orient="row")
    lake.replace(FORGOTTEN_USERS, row, (today, today), where={"user_digest": digest})


def digest_of(user_id: str, key: str) -> str:
    """What a user id is remembered by."""
    return hashlib.blake2b(user_id.encode(), key=bytes.fromhex(key), digest_size=16).hexdigest()
