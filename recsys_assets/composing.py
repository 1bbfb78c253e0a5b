"""The part of `recsys.yaml` that says how lists are blended, composed, and checked before they are published.

Only declarations and their checks belong here; `models.composition` composes by them, `inference.checks` checks.
"""

from collections.abc import Collection
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from recsys_assets.mapping import Declared

BlendRule = Literal["reciprocal_ranks", "z_scores"]
Share = Annotated[float, Field(ge=0, le=1)]


class Blend(Declared):
    """How the families' lists become one, and what a change of that must show on the holdout of a slot."""

    rule: Literal["best"] | BlendRule = Field(
        "best",
        description="how lists are fused; best: as it is, until validation/final finds the other rule clearly better",
    )
    max_ndcg_drop: Share = Field(
        0.05, description="relative drop in NDCG at 10 that is allowed against the weights in force; 1 allows any"
    )
    min_holdout_users: Annotated[int, Field(ge=1)] = Field(50, description="fewer users are too few to judge by")


class CreatorLimit(Declared):
    """At most so many items per creator; items without a known creator are not limited."""

    items: Annotated[int, Field(ge=1)]
    within: Annotated[int, Field(ge=1)] | None = Field(
        20, description="places from the top for which it holds; null: the whole list"
    )


class NewReleaseSlots(Declared):
    """Each such place of a list goes to the best-ranked new release that is left."""

    every: Annotated[int, Field(ge=1)] = Field(10, description="10: the tenth place, the twentieth, and so on")
    within_days: Annotated[int, Field(ge=1)] = Field(14, description="days from its release for which an item is new")


class SeriesFirst(Declared):
    """The next volume of a series goes first, where the user owns the volume before it."""

    items: Annotated[int, Field(ge=1)] = Field(3, description="at most so many volumes go first")


class Composition(Declared):
    """What is made of the blended order of items; without any of it, the order stays as it is."""

    max_per_creator: CreatorLimit | None = Field(None, description="needs items.creator")
    new_release_slots: NewReleaseSlots | None = Field(None, description="needs items.released_on")
    series_first: SeriesFirst | None = Field(
        None, description="needs items.series and items.series_position, and rules.owned_is_excluded"
    )

    @property
    def needed_columns(self) -> dict[str, tuple[str, ...]]:
        """Setting that is switched on to the columns of `items` without which it could do nothing."""
        needed = {
            "max_per_creator": ("creator",),
            "new_release_slots": ("released_on",),
            "series_first": ("series", "series_position"),
        }
        return {name: columns for name, columns in needed.items() if getattr(self, name) is not None}


class ListChecks(Declared):
    """Thresholds of the checks on a day's final lists."""

    min_full_share: Share = Field(
        0.5,
        description="lists_are_full: share of lists that have list_length items, or as many as are eligible",
    )
    overlap_band: tuple[Share, Share] = Field(
        (0.1, 0.99),
        description="overlap_with_yesterday: lowest and highest mean share of the first 50 items that a user's list "
        "has in common with the one of the day before; outside of it is a warning",
    )

    @model_validator(mode="after")
    def _is_a_band(self) -> Self:
        if self.overlap_band[0] > self.overlap_band[1]:
            raise ValueError("overlap_band: the lowest share comes first")
        return self


class Recommendations(Declared):
    """What is computed for each user."""

    list_length: Annotated[int, Field(ge=1, le=1000)] = 200
    sequence_length: Annotated[int, Field(ge=1)] = Field(100, description="purchases kept in purchase_sequence")
    block_users: Annotated[int, Field(ge=1)] = Field(
        8_192, description="users ranked at once; memory grows with their histories and lists, not with the catalogue"
    )
    realtime_history: Annotated[int, Field(ge=0)] = Field(
        200, description="newest rows of a user's history that are published for real time"
    )
    overlay_days: Annotated[int, Field(ge=1)] = Field(
        30, description="days that what users tell the API stays in the online store; longer than lists may be old"
    )
    composition: Composition = Composition()
    checks: ListChecks = ListChecks()


def require_columns(composition: Composition, mapped: Collection[str]) -> None:
    """Make sure that the catalogue says what the rules of composition look at.

    Args:
        composition: What is switched on.
        mapped: The columns of `items` that are mapped.

    Raises:
        ValueError: One that is needed is not.
    """
    for rule, columns in composition.needed_columns.items():
        missing = [column for column in columns if column not in mapped]
        if missing:
            raise ValueError(f"recommendations.composition.{rule}: map items.{missing[0]}, or leave the rule out")
