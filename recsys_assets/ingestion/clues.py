"""By which names and values the columns of an unknown file are recognized.

The declared tables at the top are all the knowledge there is; how a draft is written stays out.
"""

import re
from dataclasses import dataclass

import polars as pl

from recsys_assets.columns import EVENT_TYPES, SOURCE_TABLES
from recsys_assets.ingestion.samples import Sample
from recsys_assets.ingestion.values import as_moment

_ID = "(_?(id|ids|code|no|number|nr|key|uuid))?"
_USER = f"(user|customer|member|client|visitor|reader|shopper|account|buyer){_ID}"
_ITEM = f"(item|product|book|stock|sku|asin|isbn|article|ebook){_ID}"
_MOMENT = "(.*_)?(at|on|timestamp|ts|time|datetime|date|when)"
_PRICE = "(.*_)?price"
_NAME = "(.*_)?(title|description|name)"

CLUES: dict[str, dict[str, str]] = {
    "user_blocks": {
        "user_id": _USER,
        "target": "(.*_)?(target|what|kind|scope|target_type|block_type)",
        "target_id": "(.*_)?(target_id|which|blocked_id|target_key|value)",
        "is_blocked": "(is_)?(blocked|hidden|muted|active)",
        "changed_at": _MOMENT,
    },
    "impressions": {
        "request_id": f"(request|impression|list){_ID}",
        "user_id": _USER,
        "item_id": _ITEM,
        "position": "position|rank|place",
        "shown_at": _MOMENT,
        "surface": "surface|page|placement|widget",
        "family": "family|model|algorithm",
        "version": "(model_)?version",
        "arm": "arm|variant|bucket",
        "is_clicked": "(is_)?(clicked|click)",
        "propensity": "propensity|probability",
    },
    "events": {
        "user_id": _USER,
        "item_id": _ITEM,
        "occurred_at": _MOMENT,
        "quantity": "quantity|qty|pieces|units|count",
        "unit_price": _PRICE,
        "event_type": "action|event|type|event_?type|event_?name|activity",
    },
    "items": {
        "item_id": _ITEM,
        "title": _NAME,
        "creator": "author|authors|creator|brand|maker|artist|publisher|manufacturer",
        "category": "genre|category|department|shelf|subject",
        "price": _PRICE,
        "released_on": "release|released|(release|released|publication|published|launch)_?(date|day|on|at)",
        "withdrawn_on": "withdrawn|(withdrawn|withdrawal|discontinued|end)_?(date|day|on|at)|discontinued",
        "is_adult": "(is_)?(adult|mature|explicit)(_only)?",
        "series": "series(_?(id|name|title))?",
        "series_position": "series_?(position|place|number|no|nr|index)|(volume|vol|episode)(_?(number|no|nr))?",
    },
    "users": {
        "user_id": _USER,
        "signed_up_on": "(signed_?up|sign_?up|registered|registration|joined|created)(_?(date|day|on|at))?",
        "is_adult_verified": "(is_)?(adult|age)_?verified|verified",
        "is_test": "(is_)?test(_?(account|user))?",
    },
}
"""Table -> canonical column -> what the whole name looks like, in lower case with `_` between words.

A file feeds the first table whose required columns are all found.
"""

EVENT_WORDS = {
    "buy": "purchase",
    "bought": "purchase",
    "order": "purchase",
    "sale": "purchase",
    "transaction": "purchase",
    "return": "refund",
    "returned": "refund",
    "refunded": "refund",
    "click": "view",
    "pageview": "view",
    "page_view": "view",
    "detail": "view",
    "addtocart": "cart",
    "add_to_cart": "cart",
    "basket": "cart",
    "wishlist": "wish",
    "favourite": "wish",
    "favorite": "wish",
    "like": "wish",
    "rate": "rating",
    "review": "rating",
}
"""Other shops' words for our event types."""

TIMESTAMP_FORMATS = (
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y%m%dT%H%M%S",
)
"""Tried in this order when moments are not ISO 8601; the first that reads every value wins."""

_DESCRIPTIVE = {"items", "users"}
_MOST_EVENT_WORDS = 30


@dataclass(frozen=True)
class Guess:
    """The table that a sample could feed, and the file's column for each canonical one."""

    table: str
    columns: dict[str, str]


def guess_table(sample: Sample) -> Guess | None:
    """The first table whose required columns all seem to be in the sample; None when there is none."""
    for table in CLUES:
        columns = guess_columns(sample, table)
        needed = set(SOURCE_TABLES[table].required) - {"ds", "event_type", "quantity"}
        if needed <= set(columns) and (table not in _DESCRIPTIVE or len(columns) > 1):
            return Guess(table, columns)
    return None


def guess_columns(sample: Sample, table: str) -> dict[str, str]:
    """For each canonical column the first column of the sample whose name fits and that is not taken yet."""
    taken: dict[str, str] = {}
    for column, clue in CLUES[table].items():
        free = [name for name in sample.texts if name not in taken.values()]
        fitting = [name for name in free if re.fullmatch(clue, in_words(name))]
        if fitting:
            taken[column] = fitting[0]
    return taken


def in_words(name: str) -> str:
    """A column name in lower case, with `_` between its words: `CustomerID` is `customer_id`."""
    return re.sub("[^a-z0-9]+", "_", re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")


def repairs_of(column: str, texts: pl.Series) -> dict[str, str | bool]:
    """The settings of `ColumnSource` that the values of a canonical column ask for."""
    if column.endswith("_id") and _all(texts, r"^[0-9]+\.0$"):
        return {"strip_suffix": ".0"}
    if column == "item_id" and texts.n_unique() > texts.str.to_uppercase().n_unique():
        return {"case": "upper"}
    if column == "quantity" and has_negatives(texts):
        return {"absolute": True}
    if column.endswith("_at"):
        wanted = timestamp_format(texts)
        return {"timestamp_format": wanted} if wanted else {}
    return {}


def has_negatives(texts: pl.Series) -> bool:
    """Whether numbers below zero were found."""
    return texts.str.contains(r"^\s*-[0-9.]*[1-9]").any()


def timestamp_format(texts: pl.Series) -> str | None:
    """The format that reads every moment where ISO 8601 reads none, or None."""
    distinct = texts.unique().alias("text").to_frame()

    def unread(wanted: str | None) -> int:
        return distinct.select(as_moment(pl.col("text"), "UTC", wanted)).to_series().null_count()

    if distinct.is_empty() or unread(None) < distinct.height:
        return None
    return next((wanted for wanted in TIMESTAMP_FORMATS if unread(wanted) == 0), None)


def event_words(texts: pl.Series) -> tuple[dict[str, str], list[str]] | None:
    """How the words of an event-type column become ours.

    Returns:
        The translation of the words that are not ours already, and the words that nobody knows; None when the
        column holds no event types at all.
    """
    words = sorted(texts.unique())
    known = {word: EVENT_WORDS.get(in_words(word), in_words(word)) for word in words}
    strange = [word for word in words if known[word] not in EVENT_TYPES]
    if len(strange) == len(words) or len(words) > _MOST_EVENT_WORDS:
        return None
    return {word: ours for word, ours in known.items() if ours in EVENT_TYPES and ours != word}, strange


def _all(texts: pl.Series, pattern: str) -> bool:
    return not texts.is_empty() and texts.str.contains(pattern).all()
