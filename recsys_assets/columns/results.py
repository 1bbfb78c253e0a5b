"""The groups `validation` and `recommendations`: how models did, and what they recommend."""

import polars as pl

from recsys_assets.columns.table import IDS, USER, Column, Table, day_column, slot_column

VERDICTS = Table(
    ("validation", "verdicts"),
    "Every verdict of the gate, for the very version that it was passed on.",
    (
        slot_column(),
        Column("family", pl.String, "the model family"),
        Column("version", pl.String, "the registry version"),
        Column("recipe", pl.String, "fingerprint of the configuration that the version was trained and judged by"),
        Column("stage", pl.String, "candidate: passed on the holdout; release: passed on the release artifact"),
        Column("check", pl.String, "name of the check"),
        Column("actual", pl.Float64, "what was measured; null when it could not be", is_nullable=True),
        Column("threshold", pl.Float64, "what was asked for"),
        Column("passed", pl.Boolean, "whether the version may go on"),
        Column("sentence", pl.String, "the verdict in words"),
    ),
    ("ds", "family", "version", "check"),
)


def report_table(family: str, metrics: tuple[str, ...]) -> Table:
    """The validation report of a family (or `final`): one row per slot and version.

    Args:
        family: Name of the family.
        metrics: Names of the metric columns, in order.
    """
    return Table(
        ("validation", family),
        "The report: means over the holdout users, one column per metric.",
        (
            slot_column(),
            Column("version", pl.String, "the registry version"),
            Column("holdout_users", pl.Int64, "users with history and at least one hit in the holdout", "users"),
            *(Column(metric, pl.Float64, metric.replace("_", " "), is_nullable=True) for metric in metrics),
        ),
        ("ds", "version"),
    )


_LIST = (
    Column("item_ids", IDS, "the recommended items, best first"),
    Column("scores", pl.List(pl.Float32), "the score of each item, in the order of item_ids"),
)
_IS_FALLBACK = Column("is_fallback", pl.Boolean, "whether the list is the fallback of a user without known history")


def recommendations_table(family: str) -> Table:
    """The lists of one family: one row per user and day."""
    return Table(
        ("recommendations", family),
        f"Up to 200 items per user, by the approved version of {family}.",
        (
            day_column("the day up to whose end the histories reach"),
            USER,
            *_LIST,
            Column("version", pl.String, "the registry version in service; a fallback list was ranked by popularity"),
            _IS_FALLBACK,
        ),
        ("ds", "user_id"),
    )


FINAL_RECOMMENDATIONS = Table(
    ("recommendations", "final"),
    "The lists that are published: the approved families blended, filled up with the fallback.",
    (
        day_column("the day up to whose end the histories reach"),
        USER,
        *_LIST,
        Column("arm", pl.String, "the experiment arm of the user"),
        Column(
            "versions",
            pl.List(pl.Struct({"family": pl.String, "version": pl.String})),
            "the registry version of each family in the blend",
        ),
        Column("sources", IDS, "the family with the largest share in each item, in the order of item_ids"),
        _IS_FALLBACK,
    ),
    ("ds", "user_id"),
)
