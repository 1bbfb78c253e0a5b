"""The part of `recsys.yaml` that says how a shop's files become the canonical tables.

Only declarations and their checks belong here; `ingestion` reads files by them.
"""

from typing import Annotated, Literal, Self

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from recsys_assets.columns import EVENT_TYPES, SOURCE_TABLES

FileFormat = Literal["csv", "jsonl", "parquet"]
DATE_PLACE = "{date}"


class Declared(BaseModel):
    """Base of everything read from `recsys.yaml`: immutable; a misspelt key and a number that is none are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Condition(Declared):
    """A test on one column of the source file, as delivered. Exactly one operator is given.

    A missing value (an empty field counts as missing) satisfies `is_missing: true` and no other operator;
    text that is no number satisfies none of the numeric operators.
    """

    column: str
    is_missing: bool | None = None
    equals: str | tuple[str, ...] | None = None
    matches: str | None = Field(None, description="regular expression found anywhere in the text")
    not_matches: str | None = Field(None, description="regular expression not found in the text")
    below: float | None = None
    at_most: float | None = None
    above: float | None = None
    at_least: float | None = None

    @property
    def operator(self) -> str:
        """The name of the one operator that is set."""
        return next(name for name in type(self).model_fields if name != "column" and getattr(self, name) is not None)

    @model_validator(mode="after")
    def _has_one_operator(self) -> Self:
        operators = [name for name in type(self).model_fields if name != "column"]
        given = [name for name in operators if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(operators)}, not {len(given)}")
        return self

    @field_validator("matches", "not_matches")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                pl.Series([""]).str.contains(pattern)
            except pl.exceptions.ComputeError as error:
                raise ValueError(f"not a regular expression that Polars understands: {error}") from error
        return pattern


class ColumnSource(Declared):
    """Where a canonical column comes from, and the small repairs that its text needs.

    `from: NAME` alone may be written as `NAME`. Surrounding blanks are always removed.
    """

    source: str | None = Field(None, alias="from", description="column of the file")
    constant: str | None = Field(None, description="the same value for every row")
    strip_suffix: str | None = Field(None, description="removed from the end of the text where it is there")
    case: Literal["upper", "lower"] | None = None
    absolute: bool = Field(default=False, description="drop the sign of a number")
    decimal_comma: bool = Field(default=False, description="numbers are written as 1.234,56")
    translate: dict[str, str] = Field({}, description="the file's words to ours; words that need none stay")
    timestamp_format: str | None = Field(
        None, description="strftime format; default: ISO 8601, or seconds or milliseconds since 1970"
    )
    true_values: tuple[str, ...] = ("true", "1", "yes", "y", "t")

    @property
    def needs_text(self) -> bool:
        """Whether a repair or a format is declared that looks at the text of a value."""
        return bool(self.strip_suffix or self.case or self.decimal_comma or self.translate or self.timestamp_format)

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        if (self.source is None) == (self.constant is None):
            raise ValueError("give either `from` (a column of the file) or `constant`")
        return self


def _short_form(value: object) -> object:
    return {"from": value} if isinstance(value, str) else value


class RejectRule(Declared):
    """Rows that satisfy all conditions are set aside under the reason."""

    reason: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    when: tuple[Condition, ...]

    @field_validator("when", mode="before")
    @classmethod
    def _listed(cls, when: object) -> object:
        return [when] if isinstance(when, dict) else when


class EventTypeRule(Declared):
    """Rows that satisfy the condition are events of this type; the first rule that fits wins."""

    when: Condition
    is_: str = Field(alias="is")

    @field_validator("is_")
    @classmethod
    def _known(cls, event_type: str) -> str:
        return _event_type(event_type)


class EventTypeMapping(Declared):
    """How a row's event type is found: rules first, then the column with its translation, then the default."""

    rules: tuple[EventTypeRule, ...] = ()
    column: str | None = None
    translate: dict[str, str] = Field({}, description="the file's word to ours; ours need no entry")
    default: str | None = None

    @model_validator(mode="after")
    def _decides(self) -> Self:
        if self.column is None and self.default is None:
            raise ValueError("give `column`, `default`, or both")
        for event_type in (*self.translate.values(), *([self.default] if self.default else [])):
            _event_type(event_type)
        return self


def _event_type(event_type: str) -> str:
    if event_type not in EVENT_TYPES:
        raise ValueError(f"{event_type!r} is no event type; one of {', '.join(EVENT_TYPES)}")
    return event_type


class SourceMapping(Declared):
    """How the files of one canonical table look."""

    path: str = Field(description="relative to the landing, with {date} for the day (YYYY-MM-DD); * matches any text")
    format: FileFormat = "csv"
    separator: str = Field(",", pattern=r'^[^"\r\n]$', description="one character")
    columns: dict[str, Annotated[ColumnSource, BeforeValidator(_short_form)]]
    event_type: EventTypeMapping | None = None
    where: tuple[Condition, ...] = Field((), description="rows that fail one of these belong to another table")
    reject: tuple[RejectRule, ...] = ()
    duplicates: Literal["reject", "keep"] = "reject"

    @field_validator("path")
    @classmethod
    def _is_a_template(cls, path: str) -> str:
        if path.count(DATE_PLACE) != 1 or "{" in path.replace(DATE_PLACE, ""):
            raise ValueError(f"{path!r} must contain {DATE_PLACE} exactly once and no other braces")
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"{path!r} must be relative to the landing and stay inside it")
        return path

    def check_columns(self, table: str) -> None:
        """Check the column map against the canonical table.

        Args:
            table: Name of the canonical table, such as `events`.

        Raises:
            ValueError: A column does not exist, or a required one is not mapped.
        """
        spec = SOURCE_TABLES[table]
        mapped_elsewhere = {"ds", "event_type"}
        defaulted = {"quantity"} if table == "events" else set()
        known = set(spec.schema) - mapped_elsewhere
        unknown = sorted(set(self.columns) - known)
        if unknown:
            raise ValueError(f"columns: {unknown[0]!r} is no column of {table}; one of {', '.join(sorted(known))}")
        missing = sorted(set(spec.required) - mapped_elsewhere - defaulted - set(self.columns))
        if missing:
            raise ValueError(f"columns: {table} needs {missing[0]!r}; map it to a column of the file")
        if (self.event_type is None) == (table == "events"):
            raise ValueError("event_type: must be given for events, and only there")

    @property
    def file_columns(self) -> tuple[str, ...]:
        """The columns that a file must have to be read by this mapping, in order of first mention."""
        names = [column.source for column in self.columns.values() if column.source is not None]
        return tuple(dict.fromkeys([*names, *self.asked_columns]))

    @property
    def asked_columns(self) -> tuple[str, ...]:
        """The columns of a file whose text decides: which event a row is, and what becomes of it."""
        conditions = [*self.where, *(condition for rule in self.reject for condition in rule.when)]
        names = []
        if self.event_type is not None:
            conditions += [rule.when for rule in self.event_type.rules]
            names += [self.event_type.column] if self.event_type.column else []
        return (*names, *(condition.column for condition in conditions))
