"""Who was forgotten: kept as digests, so that an older file brings nobody back. Pure; the lake stays out."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

FORGOTTEN = "forgotten"
"""The reason for which their rows are rejected."""


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


def digest_of(user_id: str, key: str) -> str:
    """What a user id is remembered by."""
    return hashlib.blake2b(user_id.encode(), key=bytes.fromhex(key), digest_size=16).hexdigest()
