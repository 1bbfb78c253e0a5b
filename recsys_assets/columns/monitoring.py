"""The group `monitoring`: how what was shown did with real users."""

import polars as pl

from recsys_assets.columns.table import USER, Column, Table, day_column, from_columns

POOLED = "final"
"""In the place of a family: whole lists, whichever family brought an item, or none that is known."""
_IMPRESSIONS, _EVENTS = "sources/impressions", "sources/events"
_DAY = day_column("the day on which it was shown")
_FAMILY = Column("family", pl.String, f"the family credited with the items, or {POOLED}: the lists as a whole")
_VERSION = Column("version", pl.String, f"the registry version that brought them; null of {POOLED}", is_nullable=True)
_CLICKED = (*from_columns(_IMPRESSIONS, "is_clicked"), *from_columns(_EVENTS, "event_type", "occurred_at"))
_BOUGHT = from_columns(_EVENTS, "event_type", "occurred_at", "quantity")
_SUMS = (
    Column("impressions", pl.Int64, "items shown", "impressions"),
    Column("requests", pl.Int64, "lists in which such an item was shown", "requests"),
    Column("clicks", pl.Int64, "impressions that were clicked", "impressions", derived_from=_CLICKED),
    Column("conversions", pl.Int64, "impressions clicked and bought", "impressions", derived_from=_BOUGHT),
    Column("purchases", pl.Int64, "impressions bought and kept", "impressions", derived_from=_BOUGHT),
    Column(
        "revenue",
        pl.Float64,
        "money paid for them minus money refunded",
        "currency",
        derived_from=from_columns(_EVENTS, "event_type", "occurred_at", "quantity", "unit_price"),
    ),
)
ONLINE_FIGURES = {
    "ctr": "click-through rate: clicks / impressions",
    "cvr": "conversion rate: conversions / clicks",
    "revenue_per_impression": "revenue / impressions",
    "ndcg": "NDCG of what was clicked or bought, by place in the list; mean over the lists with any",
    "coverage": "share of the items eligible that day that were shown to anybody",
}
"""Name of a figure to what it is."""


def _figure(name: str, meaning: str) -> tuple[Column, ...]:
    """A figure, the ends of its interval, and its standard error; all null where it cannot be computed."""
    unit = "currency per impression" if name == "revenue_per_impression" else ""
    parts = {
        name: meaning,
        f"{name}_low": f"low end of the 95 % interval of {name}, users as units",
        f"{name}_high": f"high end of the 95 % interval of {name}, users as units",
        f"{name}_se": f"standard error of {name}, users as units",
    }
    return tuple(Column(part, pl.Float64, words, unit, is_nullable=True) for part, words in parts.items())


ONLINE_METRICS = Table(
    ("monitoring", "online_metrics"),
    "How what was shown on a day did, per family, version, surface and arm, and over all surfaces and arms. "
    "Impressions of a day earn clicks and purchases until their attribution window ends: until then, it is not final.",
    (
        _DAY,
        _FAMILY,
        _VERSION,
        Column(
            "surface", pl.String, "where it was shown, unknown where nobody said; null: all of them", is_nullable=True
        ),
        Column("arm", pl.String, "the experiment arm of the users; null: all of them", is_nullable=True),
        Column("is_final", pl.Boolean, "whether every day that the attribution window reaches was ingested"),
        Column("users", pl.Int64, "known users to whom it was shown", "users"),
        *_SUMS,
        Column("items", pl.Int64, "different items shown", "items"),
        *(column for one in ONLINE_FIGURES.items() for column in _figure(*one)),
    ),
    ("ds", "family", "version", "surface", "arm"),
)
USER_OUTCOMES = Table(
    ("monitoring", "user_outcomes"),
    "The sums that the online metrics are made of, per known user, family and arm: what compares arms over days.",
    (
        _DAY,
        USER,
        _FAMILY,
        _VERSION,
        Column("arm", pl.String, "the experiment arm of the user"),
        *_SUMS,
        Column("ndcg_sum", pl.Float64, "sum of the NDCG of the lists in which anything was clicked or bought"),
        Column("ndcg_requests", pl.Int64, "the lists in which anything was clicked or bought", "requests"),
    ),
    ("ds", "user_id", "family", "version", "arm"),
)
SET_ASIDE_IMPRESSIONS = Table(
    ("monitoring", "set_aside_impressions"),
    "Impressions of a day that no metric counts, and why; with them, counted + set aside = impressions of the day.",
    (
        _DAY,
        Column("reason", pl.String, "unknown_version, incomplete_version or no_customer"),
        Column("family", pl.String, "the family that the rows name", is_nullable=True),
        Column("version", pl.String, "the version that the rows name", is_nullable=True),
        Column("impressions", pl.Int64, "how many", "impressions"),
    ),
    ("ds", "reason", "family", "version"),
)
ONLINE_DAYS = Table(
    ("monitoring", "online_days"),
    "What the online metrics of each day were made of; written last.",
    (
        _DAY,
        Column("impressions", pl.Int64, "impressions of the day", "impressions"),
        Column("counted", pl.Int64, "of them, those that the metrics count", "impressions"),
        Column("events_before", pl.Int64, "events on an item shown to the user that day, but only later", "events"),
        Column("is_final", pl.Boolean, "whether every day that the attribution window reaches was ingested"),
        Column("made_of", pl.String, "fingerprint of the settings and of every day in the attribution window"),
    ),
    ("ds",),
)
EXPERIMENTS = Table(
    ("monitoring", "experiments"),
    "How the running experiment stood after each day: every arm and metric, and how it differs from the control, over "
    "all days since it began. Users who were seen in several arms are in no figure.",
    (
        day_column("the last day that is counted"),
        Column("experiment", pl.String, "its name in recsys.yaml"),
        Column("arm", pl.String, "the arm"),
        Column("metric", pl.String, "ctr, cvr, revenue_per_impression or ndcg, of whole lists"),
        Column("share", pl.Float64, "configured share of the users"),
        Column("users", pl.Int64, "users who were seen in this arm alone", "users"),
        Column("moved_users", pl.Int64, "users who were seen in several arms of the experiment", "users"),
        Column("mismatch_p", pl.Float64, "p-value of the users per arm, if they were spread by the shares"),
        Column("value", pl.Float64, "the metric of the arm", is_nullable=True),
        Column("low", pl.Float64, "low end of its 95 % interval, users as units", is_nullable=True),
        Column("high", pl.Float64, "high end of its 95 % interval", is_nullable=True),
        Column("difference", pl.Float64, "from the control; null of the control itself", is_nullable=True),
        Column("difference_low", pl.Float64, "low end of the difference's 95 % interval at this day", is_nullable=True),
        Column("difference_high", pl.Float64, "high end of it", is_nullable=True),
        Column("change", pl.Float64, "the difference relative to the control", is_nullable=True),
        Column(
            "always_low", pl.Float64, "low end of the change's interval, valid on all days at once", is_nullable=True
        ),
        Column("always_high", pl.Float64, "high end of it", is_nullable=True),
        Column(
            "verdict", pl.String, "higher or lower: certain, however often one looks; open; too few", is_nullable=True
        ),
    ),
    ("ds", "experiment", "arm", "metric"),
)
GUARDRAILS = Table(
    ("monitoring", "guardrails"),
    "What each guardrail said after each day of the versions that served on it.",
    (
        day_column("the day whose metrics were the newest"),
        Column("family", pl.String, "the guarded family"),
        Column("version", pl.String, "the registry version that was judged"),
        Column("metric", pl.String, "the metric that was judged"),
        Column("state", pl.String, "inside, below (with certainty), or too early"),
        Column("is_in_question", pl.Boolean, "whether it looks as if it were below, which is not certain yet"),
        Column("change", pl.Float64, "relative change against the days before the version", is_nullable=True),
        Column("change_low", pl.Float64, "low end of its interval, valid on all days at once", is_nullable=True),
        Column("change_high", pl.Float64, "high end of it", is_nullable=True),
        Column("sentence", pl.String, "the judgement in words"),
    ),
    ("ds", "family", "version"),
)
