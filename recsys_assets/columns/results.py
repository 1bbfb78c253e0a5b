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
        Column(
            "smallest_detectable_drop",
            pl.Float64,
            "relative drop that so many users would have shown four times out of five, above 1 where they cannot show "
            "any; null where nothing is left to chance, or nothing could be measured",
            is_nullable=True,
        ),
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


def _weights(name: str, meaning: str) -> Column:
    return Column(name, pl.List(pl.Struct({"family": pl.String, "weight": pl.Float64})), meaning)


BLENDS = Table(
    ("validation", "blends"),
    "Which weights and which rule blend the families, and why: each slot judges them against those in force.",
    (
        slot_column(),
        Column("recipe", pl.String, "fingerprint of the configuration that the weights were judged by"),
        _weights("configured", "the weights in recsys.yaml when the slot was judged; families without weight left out"),
        _weights("in_force", "the weights in force once the slot was judged, until a newer slot says otherwise"),
        Column(
            "ndcg_at_10_configured", pl.Float64, "NDCG at 10 of the blend with the configured weights", is_nullable=True
        ),
        Column(
            "ndcg_at_10_in_force",
            pl.Float64,
            "NDCG at 10 of the blend with the weights that were in force before; null where none were",
            is_nullable=True,
        ),
        Column("actual", pl.Float64, "relative change of NDCG at 10; null where nothing is compared", is_nullable=True),
        Column("threshold", pl.Float64, "the change that is still allowed, such as -0.05 for five percent less"),
        Column("passed", pl.Boolean, "whether the configured weights may be in force"),
        Column("sentence", pl.String, "the verdict in words"),
        Column(
            "rule", pl.String, "the rule that blends from this slot on: reciprocal_ranks or z_scores", is_nullable=True
        ),
        Column(
            "ndcg_at_10_reciprocal_ranks",
            pl.Float64,
            "NDCG at 10 of the blend by reciprocal ranks, with the weights in force",
            is_nullable=True,
        ),
        Column(
            "ndcg_at_10_z_scores",
            pl.Float64,
            "NDCG at 10 of the blend by standardized scores, with the weights in force",
            is_nullable=True,
        ),
    ),
    ("ds",),
)


SERVED_NDCG = Table(
    ("validation", "served"),
    "How the lists that were really served did in the holdout days of a slot: what users took on a day, in the lists "
    "of the day before it.",
    (
        slot_column(),
        Column("day", pl.Date, "the day on which users took something; null: all days of the slot", is_nullable=True),
        Column("family", pl.String, "the model family, by its own lists and no fallbacks; or final: all lists"),
        Column("version", pl.String, "the registry version that ranked; of final, the version of each family"),
        Column("users", pl.Int64, "users with a list who took something that they had not had", "users"),
        Column("ndcg_at_10", pl.Float64, "NDCG at 10, mean over the users; over all days, of each user's mean"),
        Column("ndcg_at_10_low", pl.Float64, "low end of its 95 % bootstrap interval"),
        Column("ndcg_at_10_high", pl.Float64, "high end of its 95 % bootstrap interval"),
    ),
    ("ds", "day", "family", "version"),
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
        Column(
            "sources",
            IDS,
            "the family with the largest share in each item, in the order of item_ids; series: in no family's list",
        ),
        _IS_FALLBACK,
        Column("families", pl.List(IDS), "the families in the blend that list each item, in the order of item_ids"),
        Column(
            "rules",
            IDS,
            "what put each item in its place, in the order of item_ids: blend: its score; series, new_release: the "
            "rule of composition; fallback: it fills up; over_creator_limit: it fills up although "
            "its creator had their share",
        ),
    ),
    ("ds", "user_id"),
)
