"""Keeping in the lake who was forgotten, and reading it when files are taken in."""

import secrets
from datetime import date

import polars as pl

from recsys_assets.columns import FORGOTTEN_USERS
from recsys_assets.ingestion.forgotten import ForgottenUsers, digest_of
from resources.lake import DeltaLake


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
