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


_ENDS = {"_low": "low", "_high": "high"}


def _figure(name: str) -> Column:
    """A figure of the report; its name says what it is: `recall_at_50_warm_low`."""
    end = next((end for end in _ENDS if name.endswith(end)), "")
    figure = name.removesuffix(end)
    meaning = figure.removesuffix("_warm").replace("_", " ")
    if figure.endswith("_warm"):
        meaning += ", hits on items that the candidate has never seen left out"
    if end:
        meaning += f": {_ENDS[end]} end of the 95 % bootstrap interval"
    return Column(name, pl.Float64, meaning, "bits" if name.startswith("novelty") else "", is_nullable=True)


def report_table(family: str, metrics: tuple[str, ...]) -> Table:
    """The validation report of a family (or `final`): one row per slot and version.

    Args:
        family: Name of the family.
        metrics: Names of the metric columns, in order.
    """
    return Table(
        ("validation", family),
        "The report: means over the holdout users with the ends of their intervals, and how items are shown.",
        (
            slot_column(),
            Column("version", pl.String, "the registry version"),
            Column("holdout_users", pl.Int64, "users with history and at least one hit in the holdout", "users"),
            *(_figure(metric) for metric in metrics),
        ),
        ("ds", "version"),
    )


_FAMILY = Column("family", pl.String, "the model family, or final: the blend")
_VERSION = Column("version", pl.String, "the registry version; of final, the version of each family in the blend")


def _mean(metric: str) -> Column:
    return Column(metric, pl.Float64, f"{metric.replace('_', ' ')}, mean over the users", is_nullable=True)


SEGMENT_METRICS = Table(
    ("validation", "segments"),
    "The report by kind of user. The kinds overlap: a user of any segment may have a hit on a new item.",
    (
        slot_column(),
        _FAMILY,
        _VERSION,
        Column(
            "segment",
            pl.String,
            "none, light, middle, heavy: as in features/user_profile on the last day that the candidate has seen; "
            "new_items: hits on items first seen within 30 days before the holdout, or in it, and nothing else; "
            "cold_users: users with a hit and without a history, judged by their fallback list",
        ),
        Column("users", pl.Int64, "users who are averaged over", "users"),
        *(_mean(metric) for metric in ("ndcg_at_10", "recall_at_10", "hit_rate_at_10")),
    ),
    ("ds", "family", "version", "segment"),
)
USER_METRICS = Table(
    ("validation", "user_metrics"),
    "The report by user with a history and at least one hit in the holdout: its figures are means of these rows.",
    (
        slot_column(),
        _FAMILY,
        _VERSION,
        USER,
        Column("segment", pl.String, "none, light, middle or heavy on the last day that the candidate has seen"),
        *(
            Column(f"{metric}_at_{cutoff}", pl.Float64, f"{metric.replace('_', ' ')} at {cutoff} of the user's list")
            for cutoff in (10, 50, 200)
            for metric in ("ndcg", "recall", "hit_rate")
        ),
    ),
    ("ds", "family", "version", "user_id"),
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
