"""Every persisted table: its key, its columns with type, unit and meaning, and its primary key.

This is the one home of column names and dtypes. Code that computes the tables stays out, and so
does everything that knows where a table is stored.
"""

from recsys_assets.columns.features import (
    ELIGIBLE_ITEMS,
    EXCLUSIONS,
    FAMILY_SCORES,
    INTERACTION_DAYS,
    INTERACTIONS,
    PURCHASE_SEQUENCE,
    TRAINING_SET,
    VIEW_DAYS,
)
from recsys_assets.columns.past import (
    ITEM_STATE,
    ITEMS_SEEN,
    PAIR_TOTALS,
    PAST_STATES,
    USER_BLOCK_STATE,
    USER_STATE,
    USERS_SEEN,
)
from recsys_assets.columns.profiles import ITEM_PROFILE, USER_PROFILE
from recsys_assets.columns.results import (
    BLENDS,
    FINAL_RECOMMENDATIONS,
    SEGMENT_METRICS,
    SERVED_NDCG,
    USER_METRICS,
    VERDICTS,
    recommendations_table,
    report_table,
)
from recsys_assets.columns.sources import (
    BLOCK_TARGETS,
    EVENT_TYPES,
    EVENTS,
    FORGOTTEN_USERS,
    IMPRESSIONS,
    INGESTED_FILES,
    ITEMS,
    REJECTED_ROWS,
    SOURCE_TABLES,
    USER_BLOCKS,
    USERS,
)
from recsys_assets.columns.table import IDS, UTC_MOMENT, Column, Table

__all__ = [
    "BLENDS",
    "BLOCK_TARGETS",
    "ELIGIBLE_ITEMS",
    "EVENTS",
    "EVENT_TYPES",
    "EXCLUSIONS",
    "FAMILY_SCORES",
    "FINAL_RECOMMENDATIONS",
    "FORGOTTEN_USERS",
    "IDS",
    "IMPRESSIONS",
    "INGESTED_FILES",
    "INTERACTIONS",
    "INTERACTION_DAYS",
    "ITEMS",
    "ITEMS_SEEN",
    "ITEM_PROFILE",
    "ITEM_STATE",
    "PAIR_TOTALS",
    "PAST_STATES",
    "PURCHASE_SEQUENCE",
    "REJECTED_ROWS",
    "SEGMENT_METRICS",
    "SERVED_NDCG",
    "SOURCE_TABLES",
    "TRAINING_SET",
    "USERS",
    "USERS_SEEN",
    "USER_BLOCKS",
    "USER_BLOCK_STATE",
    "USER_METRICS",
    "USER_PROFILE",
    "USER_STATE",
    "UTC_MOMENT",
    "VERDICTS",
    "VIEW_DAYS",
    "Column",
    "Table",
    "recommendations_table",
    "report_table",
]
