"""`recsys.yaml` as one validated, frozen value: the file that a platform owner edits.

Addresses and secrets stay out: they come from the environment, through `resources.settings`.
A family's hyper-parameters are checked by the family itself, in `models`.
"""

import re
from datetime import date, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from recsys_assets.columns import SOURCE_TABLES
from recsys_assets.composing import Blend, Recommendations, require_columns
from recsys_assets.configuration import checked, near, read_yaml
from recsys_assets.crediting import Monitoring
from recsys_assets.engines import EngineOfGroups
from recsys_assets.exposure import Experiment, Guardrail, require_known, require_name, require_one_at_a_time
from recsys_assets.mapping import Declared, SourceMapping
from recsys_assets.reporting import DEFAULT_OWNER, Owner, Reports

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


class Freshness(Declared):
    """By when a live store has yesterday's tables, in its own time zone; the UI marks what is late."""

    features_by: time = Field(time(6), description="the snapshot views and interactions of the day before")
    lists_by: time = Field(time(7), description="the published lists of the day before")

    @field_validator("features_by", "lists_by", mode="before")
    @classmethod
    def _is_quoted(cls, value: object) -> object:
        if isinstance(value, int):  # YAML reads 17:30 as a number of base 60
            raise ValueError(  # noqa: TRY004 - what pydantic turns into a message
                'write the time in quotes, such as "17:30"'
            )
        return value

    @model_validator(mode="after")
    def _are_in_order(self) -> Self:
        if not time(0) < self.features_by <= self.lists_by:
            raise ValueError("features_by must be after midnight, and not after lists_by: lists are made of features")
        return self


class Sensors(Declared):
    """How often the sensors look for what is due. A landing with very many files is listed at each look."""

    interval_seconds: Annotated[int, Field(ge=1)] = Field(30, description="landing, training, inference, monitoring")

    @property
    def patient_interval_seconds(self) -> int:
        """How often is looked for what nobody waits for: late changes of old days, guardrails, the page."""
        return 2 * self.interval_seconds


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
    freshness: Freshness = Freshness()
    sensors: Sensors = Sensors()
    hit_event: Literal["purchase", "view", "cart", "wish"] = "purchase"
    training: Training = Training()
    families: dict[str, FamilySettings]
    blend: Blend = Blend()
    recommendations: Recommendations = Recommendations()
    monitoring: Monitoring = Monitoring()
    reports: Reports = Reports()
    engine: EngineOfGroups = Field({}, description="one engine, or group to its engine; default: RECSYS_ENGINE")
    owner: Owner = Field(DEFAULT_OWNER, description="whom every asset and every failed run names: team:NAME, or a mail")
    keep_days: dict[str, Annotated[int, Field(ge=1)] | None] = Field(
        {}, description="newest days kept of recommendations, features, or one table of them; null: all; default: 90"
    )
    experiments: dict[str, Experiment] = Field({}, description="name to its arms and days; one at a time")
    guardrails: dict[str, Guardrail] = Field({}, description="family to what guards its users")

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

    @field_validator("experiments")
    @classmethod
    def _can_be_told_apart(cls, experiments: dict[str, Experiment], others: ValidationInfo) -> dict[str, Experiment]:
        for name, experiment in experiments.items():
            require_name(name, "experiment")
            for arm, settings in experiment.arms.items():
                require_known(settings.families, others.data.get("families", settings.families), f"{name}.arms.{arm}")
        require_one_at_a_time(experiments)
        return experiments

    @field_validator("guardrails")
    @classmethod
    def _guards_known_families(cls, guardrails: dict[str, Guardrail], others: ValidationInfo) -> dict[str, Guardrail]:
        for name in guardrails:
            require_known([name], others.data.get("families", guardrails), "guardrails")
        return guardrails

    @model_validator(mode="after")
    def _days_are_in_order(self) -> Self:
        if self.last_day is not None and self.first_day > self.last_day:
            raise ValueError(f"first_day {self.first_day} is after last_day {self.last_day}; swap them")
        return self

    @model_validator(mode="after")
    def _has_what_lists_are_composed_by(self) -> Self:
        items = self.sources.get("items")
        require_columns(self.recommendations.composition, items.columns if items else ())
        if self.recommendations.composition.series_first and not self.rules.owned_is_excluded:
            raise ValueError("recommendations.composition.series_first: needs rules.owned_is_excluded: what users own")
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
