"""`recsys.yaml` as one validated, frozen value: the file that a platform owner edits.

Addresses and secrets stay out: they come from the environment, through `resources.settings`.
A family's hyper-parameters are checked by the family itself, in `models`.
"""

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, Field, field_validator, model_validator

from recsys_assets.columns import SOURCE_TABLES
from recsys_assets.configuration import checked, near, read_yaml
from recsys_assets.mapping import Declared, SourceMapping

BUNDLED_CONFIG = Path(__file__).with_name("ebook_store.yaml")
FALLBACK_FAMILY = "popularity"
RESERVED_NAMES = {"final", "verdicts", "segments", "user_metrics", "blends", "served"}
"""Tables beside those of the families."""
Share = Annotated[float, Field(ge=0, le=1)]
ModelT = TypeVar("ModelT", bound=BaseModel)


class BotRule(Declared):
    """A user with more events than this on one day is a machine."""

    max_events_per_day: Annotated[int, Field(ge=1)] = 2_000


class Rules(Declared):
    """The business rules; each switch is documented at its function in `features.rules`."""

    owned_is_excluded: bool = Field(default=True, description="whether owning an item excludes it; a grocer says no")
    refunds_take_back: bool = True
    drop_test_accounts: bool = True
    bots: BotRule | None = BotRule()
    blocks_apply: bool = True
    withdrawn_is_hidden: bool = True
    unreleased_is_hidden: bool = True
    adult_needs_verification: bool = True
    half_life_days: Annotated[float, Field(gt=0)] | None = Field(
        None, description="days after which an interaction counts half, seen from the cutoff; null: it never fades"
    )


class Segments(Declared):
    """Bounds of the segments of users, in purchases that were kept within the window of `features/user_profile`."""

    middle_from: Annotated[int, Field(ge=1)] = 3
    heavy_from: Annotated[int, Field(ge=1)] = 10

    @model_validator(mode="after")
    def _are_in_order(self) -> Self:
        if self.middle_from >= self.heavy_from:
            raise ValueError("middle_from must be smaller than heavy_from")
        return self


class ViewChecks(Declared):
    """Thresholds of the checks on every feature view. Wrong schemas and keys block; what these find only warns."""

    max_unknown_item_share: Share = Field(0.01, description="rows whose item was never in the mapped catalogue")
    row_count_band: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(gt=0)]] = Field(
        (0.2, 5.0), description="lowest and highest rows of a day, as multiples of the median of the trailing days"
    )
    trailing_days: Annotated[int, Field(ge=1)] = Field(28, description="days that the row-count band looks back")
    fresh_hours: Annotated[int, Field(ge=1)] = Field(36, description="how old the newest day may be in a live store")


class EventWeights(Declared):
    """How strongly one event of each type speaks for an item; purchases and refunds are netted first."""

    view: Annotated[float, Field(ge=0)] = 0.0
    cart: Annotated[float, Field(ge=0)] = 0.0
    wish: Annotated[float, Field(ge=0)] = 0.0
    purchase: Annotated[float, Field(ge=0)] = 1.0
    rating: Annotated[float, Field(ge=0)] = 0.0


class Training(Declared):
    """When models are trained, and on which days."""

    slots: str = Field("0 0 * * 1,3,5", description="cron expression at midnight, in the configured time zone")
    train_days: Annotated[int, Field(ge=1)] = 365
    holdout_days: Annotated[int, Field(ge=1)] = 7
    min_history_days: Annotated[int, Field(ge=2)] = 28
    seed: int = 0

    @field_validator("slots")
    @classmethod
    def _is_cron_at_midnight(cls, slots: str) -> str:
        if not re.fullmatch(r"0 0( [0-9*,/-]+){3}", slots):
            raise ValueError("write it as five cron fields that begin with `0 0`, such as `0 0 * * 1,3,5`")
        return slots

    @model_validator(mode="after")
    def _leaves_days_to_train_on(self) -> Self:
        if self.holdout_days >= min(self.train_days, self.min_history_days):
            raise ValueError("holdout_days must be smaller than train_days and min_history_days")
        return self


class Gate(Declared):
    """Thresholds of the checks that stand between validation and approval."""

    min_ndcg_at_10: Share = Field(0.0, description="ndcg_above_floor")
    min_gain_over_popularity: float = Field(0.0, description="beats_popularity: relative gain in NDCG at 10")
    max_ndcg_drop: Share = Field(
        0.05,
        description="ndcg_not_below_approved: relative drop in NDCG at 10 that is allowed against an approved version; "
        "1 allows any",
    )
    approved_days: Annotated[int, Field(ge=1)] = Field(
        28, description="ndcg_not_below_approved: days, by slot, whose best approved version is compared too"
    )
    min_catalogue_coverage: Share = Field(
        0.01, description="catalogue_coverage_above_floor: share of the eligible items that somebody is recommended"
    )
    min_holdout_users: Annotated[int, Field(ge=1)] = Field(50, description="enough_holdout_users")
    min_release_overlap: Share = Field(0.1, description="share of a list's first 50 that candidate and release share")


class FamilySettings(Declared):
    """One model family: how it is trained, judged, approved and blended."""

    window_days: Annotated[int, Field(ge=1)] = Field(
        365, description="newest days that the family is fitted on, of those that training.train_days lets it see"
    )
    history_days: Annotated[int, Field(ge=1)] | None = Field(
        None, description="days of a user's history that are ranked with; default: window_days"
    )
    parameters: dict[str, Any] = Field({}, description="hyper-parameters; the family's own class checks them")
    gate: Gate = Gate()
    approval: Literal["automatic", "manual"] = Field(
        "automatic", description="whether a release that has passed serves at once, or waits for a person"
    )
    weight: Annotated[float, Field(ge=0)] = Field(1.0, description="weight in the blend")

    @property
    def ranked_days(self) -> int:
        """Days of a user's history that are ranked with, the same in validation, daily inference and real time."""
        return self.history_days or self.window_days


class Blend(Declared):
    """What a change of the families' weights must show on the holdout of a slot before it is in force."""

    max_ndcg_drop: Share = Field(
        0.05, description="relative drop in NDCG at 10 that is allowed against the weights in force; 1 allows any"
    )
    min_holdout_users: Annotated[int, Field(ge=1)] = Field(50, description="fewer users are too few to judge by")


class Recommendations(Declared):
    """What is computed for each user."""

    list_length: Annotated[int, Field(ge=1, le=1000)] = 200
    sequence_length: Annotated[int, Field(ge=1)] = Field(100, description="purchases kept in purchase_sequence")
    block_users: Annotated[int, Field(ge=1)] = Field(2_048, description="users ranked at once; bounds the memory")


class Platform(Declared):
    """The whole of `recsys.yaml`."""

    time_zone: str = "UTC"
    first_day: date
    last_day: date | None = Field(None, description="only for replays of old data")
    wrong_day_tolerance_minutes: Annotated[int, Field(ge=0)] = 0
    sources: dict[str, SourceMapping]
    rules: Rules = Rules()
    event_weights: EventWeights = EventWeights()
    segments: Segments = Segments()
    view_checks: ViewChecks = ViewChecks()
    hit_event: Literal["purchase", "view", "cart", "wish"] = "purchase"
    training: Training = Training()
    families: dict[str, FamilySettings]
    blend: Blend = Blend()
    recommendations: Recommendations = Recommendations()

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which days begin and end."""
        return ZoneInfo(self.time_zone)

    @property
    def first_slot_day(self) -> date:
        """The first day on which a slot may lie: before it there is too little history."""
        return self.first_day + timedelta(days=self.training.min_history_days)

    @field_validator("time_zone")
    @classmethod
    def _exists(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"no such time zone; write it like Europe/London{near(name, available_timezones())}")
        return name

    @field_validator("sources")
    @classmethod
    def _maps_known_tables(cls, sources: dict[str, SourceMapping]) -> dict[str, SourceMapping]:
        for table, mapping in sources.items():
            if table not in SOURCE_TABLES:
                raise ValueError(f"{table!r} is no table; one of {', '.join(SOURCE_TABLES)}")
            try:
                mapping.check_columns(table)
            except ValueError as error:
                raise ValueError(f"{table}.{error}") from error
        if "events" not in sources:
            raise ValueError("events must be mapped: without events there is nothing to learn from")
        return sources

    @field_validator("families")
    @classmethod
    def _has_the_fallback(cls, families: dict[str, FamilySettings]) -> dict[str, FamilySettings]:
        if FALLBACK_FAMILY not in families:
            raise ValueError(f"{FALLBACK_FAMILY} must be among the families: it is the fallback and the baseline")
        reserved = RESERVED_NAMES & set(families)
        if reserved:
            raise ValueError(f"{reserved.pop()!r} is the platform's own name; call the family something else")
        return families

    @model_validator(mode="after")
    def _days_are_in_order(self) -> Self:
        if self.last_day is not None and self.first_day > self.last_day:
            raise ValueError(f"first_day {self.first_day} is after last_day {self.last_day}; swap them")
        return self


def load_platform(path: Path) -> Platform:
    """Read and check `recsys.yaml`.

    Args:
        path: The file.

    Returns:
        The configuration, immutable.

    Raises:
        ConfigurationError: The file cannot be read, is no YAML, or a key is unknown or wrong.
    """
    return checked(Platform, read_yaml(path), str(path))
