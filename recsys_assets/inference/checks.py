"""The checks on a day's final lists, before they are stored and published: pure, on some users at a time.

What is not right is counted, with a few examples; what that means for the run is said where the asset is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date

import polars as pl

from recsys_assets.composing import ListChecks
from recsys_assets.features.checks import Finding
from recsys_assets.validation.evaluation import OVERLAP_AT, overlaps
from recsys_assets.validation.forbidden import forbidden_pairs

BLOCKING = {
    "every_active_user_has_a_list": "Everybody of whom anything is known has a row.",
    "no_forbidden_item": "No list holds an item that is not eligible, or that is excluded for its user.",
    "no_item_twice": "No list holds an item twice.",
    "lists_are_full": "Enough lists are as long as they are meant to be.",
    "versions_are_approved": "Each family's lists were ranked by the version that is approved for the day.",
}
WARNING = {"overlap_with_yesterday": "Lists change from day to day, but not all at once."}
EXAMPLES = 3


@dataclass(frozen=True)
class Violations:
    """How often something is not right, and the first examples."""

    count: int = 0
    examples: tuple[str, ...] = ()

    def __add__(self, other: "Violations") -> "Violations":
        return Violations(self.count + other.count, (*self.examples, *other.examples)[:EXAMPLES])

    @classmethod
    def among(cls, found: Iterable[str]) -> "Violations":
        """All of these."""
        listed = list(found)
        return cls(len(listed), tuple(listed[:EXAMPLES]))

    def finding(self, check: str, what: str) -> Finding:
        """What a check says that allows none."""
        shown = f": {', '.join(self.examples)}" if self.examples else ""
        return Finding(check, self.count, "at most 0", self.count == 0, f"{self.count:,} {what}{shown}")


@dataclass(frozen=True)
class Seen:
    """What was seen of the lists of some users; sums add up over users and days.

    Attributes:
        lists: How many.
        full: Of these, as long as they are meant to be.
        empty: Of these, without any item.
        without_list: Active users without a row.
        forbidden: Items that must not be in their list.
        repeated: Lists with an item twice.
        other_versions: Lists of a family by a version that is not the approved one.
        compared: Users who had a list the day before.
        overlap: Sum over these of the share of the first items that both lists have in common.
    """

    lists: int = 0
    full: int = 0
    empty: int = 0
    without_list: Violations = Violations()
    forbidden: Violations = Violations()
    repeated: Violations = Violations()
    other_versions: Violations = Violations()
    compared: int = 0
    overlap: float = 0.0

    def __add__(self, other: "Seen") -> "Seen":
        return Seen(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(Seen)})


@dataclass(frozen=True)
class Surroundings:
    """What lists of some users are held against.

    Attributes:
        day: Their day.
        exclusions: Rows of `features/exclusions`, one for every active user.
        eligible: Rows of `features/eligible_items`.
        length: How long a list is meant to be.
        approved: Arm to the version of each family that is approved for it.
        before: user_id, item_ids: the lists of the day before.
    """

    day: date
    exclusions: pl.DataFrame
    eligible: pl.DataFrame
    length: int
    approved: Mapping[str, Mapping[str, str]]
    before: pl.DataFrame


def examine(lists: pl.DataFrame, against: Surroundings) -> Seen:
    """Look at the lists of some users.

    Args:
        lists: Rows of `recommendations/final` of one day.
        against: What they are held against.
    """
    length = pl.col("item_ids").list.len()
    meant = min(against.length, against.eligible.height)
    sizes = lists.select(full=(length >= meant).sum(), empty=(length == 0).sum()).row(0, named=True)
    missing = against.exclusions.join(lists, on="user_id", how="anti")["user_id"]
    forbidden = forbidden_pairs(lists, against.exclusions, against.eligible)
    repeated = lists.filter(pl.col("item_ids").list.n_unique() < length)["user_id"]
    common = overlaps(lists, against.before)
    return Seen(
        lists=lists.height,
        full=sizes["full"],
        empty=sizes["empty"],
        without_list=Violations.among(f"{user} on {against.day}" for user in missing),
        forbidden=Violations.among(f"{item} for {user} on {against.day}" for user, item in forbidden.iter_rows()),
        repeated=Violations.among(f"{user} on {against.day}" for user in repeated),
        other_versions=_other_versions(lists, against),
        compared=common.len(),
        overlap=float(common.sum()),
    )


def findings(seen: Seen, settings: ListChecks) -> list[Finding]:
    """What the checks say of everything that was seen."""
    share = seen.full / seen.lists if seen.lists else 1.0
    low, high = settings.overlap_band
    overlap = seen.overlap / seen.compared if seen.compared else None
    return [
        seen.without_list.finding("every_active_user_has_a_list", "active users have no list"),
        seen.forbidden.finding("no_forbidden_item", "items are not eligible, or excluded for their user"),
        seen.repeated.finding("no_item_twice", "lists hold an item twice"),
        Finding(
            "lists_are_full",
            share,
            f"at least {settings.min_full_share}",
            share >= settings.min_full_share,
            f"{seen.full:,} of {seen.lists:,} lists are full ({share:.2%}), {seen.empty:,} are empty",
        ),
        seen.other_versions.finding(
            "versions_are_approved", "families were ranked by another version than the approved one"
        ),
        Finding(
            "overlap_with_yesterday",
            1.0 if overlap is None else overlap,
            f"between {low} and {high}",
            overlap is None or low <= overlap <= high,
            "there are no lists of the day before to compare with"
            if overlap is None
            else f"lists of {seen.compared:,} users share {overlap:.2%} of their first {OVERLAP_AT} items with "
            "those of the day before",
        ),
    ]


def _other_versions(lists: pl.DataFrame, against: Surroundings) -> Violations:
    found = lists.select("arm", "versions").unique(maintain_order=True)
    wrong = []
    for arm, versions in found.iter_rows():
        ranked = {one["family"]: one["version"] for one in versions}
        approved = against.approved.get(arm, {})
        wrong += [
            f"{family} by {ranked.get(family, 'none')} instead of {approved.get(family, 'none')} on {against.day}"
            + (f" in arm {arm}" if len(against.approved) > 1 else "")
            for family in sorted(ranked.keys() | approved.keys())
            if ranked.get(family) != approved.get(family)
        ]
    return Violations.among(wrong)
