"""The part of `recsys.yaml` that says on whom models are tried, and what guards the users they are shown to.

Only declarations and their checks belong here: `experiments` assigns users by them, `monitoring` judges by them.
"""

import re
from collections.abc import Collection, Mapping
from datetime import date
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from recsys_assets.configuration import near
from recsys_assets.mapping import Declared

DEFAULT_ARM = "default"
"""The arm of everybody while no experiment runs."""
NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
ROUNDING = 1e-9
OnlineMetric = Literal["ctr", "cvr", "revenue_per_impression", "ndcg"]
"""The figures of `monitoring/online_metrics` that are judged, by the names of their columns."""


class Arm(Declared):
    """What a share of the users gets; an arm that says no more gets what everybody gets without an experiment."""

    share: Annotated[float, Field(gt=0, le=1)] = Field(description="share of the users; all arms add up to 1")
    weights: dict[str, Annotated[float, Field(ge=0)]] | None = Field(None, description="another blend of the families")
    family: str | None = Field(None, description="the lists of this family alone")
    versions: dict[str, Annotated[int, Field(ge=1)]] | None = Field(
        None, description="family to the approved registry version that serves this arm"
    )

    @property
    def families(self) -> set[str]:
        """The families that the arm names."""
        return {*(self.weights or {}), *(self.versions or {})} | ({self.family} if self.family else set())

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = [name for name in ("weights", "family", "versions") if getattr(self, name) is not None]
        if len(said) > 1:
            raise ValueError(f"give at most one of weights, family and versions, not {' and '.join(said)}")
        if self.weights is not None and not any(self.weights.values()):
            raise ValueError("weights: give at least one family a weight above 0")
        if self.versions is not None and not self.versions:
            raise ValueError("versions: name a family and its version, or leave the key out")
        return self


class Experiment(Declared):
    """Arms that users are spread over, from one day to another. The first arm is the control."""

    salt: str = Field("", description="decides who is in which arm; default: the experiment's name")
    first_day: date
    last_day: date | None = Field(None, description="the last day that is served by arm; null: until it is set")
    arms: dict[str, Arm]

    def runs_on(self, day: date) -> bool:
        """Whether `day` is served by arm."""
        return self.first_day <= day and (self.last_day is None or day <= self.last_day)

    @model_validator(mode="after")
    def _can_run(self) -> Self:
        if self.last_day is not None and self.first_day > self.last_day:
            raise ValueError(f"first_day {self.first_day} is after last_day {self.last_day}; swap them")
        if len(self.arms) < 2:  # noqa: PLR2004 - a comparison
            raise ValueError("an experiment compares at least two arms, the first is the control")
        for name in self.arms:
            require_name(name, "arm")
        if DEFAULT_ARM in self.arms:
            raise ValueError(f"{DEFAULT_ARM!r} is what everybody gets without an experiment; call the arm `control`")
        total = sum(arm.share for arm in self.arms.values())
        if abs(total - 1) > ROUNDING:
            written = ", ".join(f"{name} {arm.share:g}" for name, arm in self.arms.items())
            raise ValueError(f"the shares of the arms must add up to 100 %, not {100 * total:g} %: {written}")
        return self


class Guardrail(Declared):
    """How far a family's online metric may fall before somebody is told, or the version is taken back."""

    metric: OnlineMetric = "ctr"
    allowed_drop: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="relative drop that is allowed, against the days before and against what else was shown"
    )
    trailing_days: Annotated[int, Field(ge=7)] = Field(28, description="days before a version that it is held against")
    min_impressions: Annotated[int, Field(ge=1)] = Field(1_000, description="a day with fewer is not looked at")
    min_users: Annotated[int, Field(ge=2)] = Field(100, description="a day with fewer is not looked at")
    action: Literal["alert", "rollback"] = "alert"
    cooldown_days: Annotated[int, Field(ge=1)] = Field(7, description="days after a rollback without another one")
    alpha: Annotated[float, Field(gt=0, le=0.2)] = Field(
        0.05, description="the highest probability of a false alarm over the whole time that a version serves"
    )


def require_name(name: str, what: str) -> None:
    """Make sure that a name can stand in a table, a key of the online store and a command.

    Raises:
        ValueError: It cannot.
    """
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name for an {what}: begin with a small letter, then up to 39 of a-z, 0-9, _ and -"
        )


def require_known(named: Collection[str], families: Collection[str], where: str) -> None:
    """Make sure that families are configured.

    Raises:
        ValueError: One is not.
    """
    for name in named:
        if name not in families:
            raise ValueError(f"{where}: {name!r} is no configured family{near(name, families)}")


def require_one_at_a_time(experiments: Mapping[str, Experiment]) -> None:
    """Make sure that at most one experiment runs on any day.

    Raises:
        ValueError: Two overlap; both are named, with the first day that they share.
    """
    for (one, first), (other, second) in combinations(experiments.items(), 2):
        shared = max(first.first_day, second.first_day)
        if first.runs_on(shared) and second.runs_on(shared):
            raise ValueError(f"{one} and {other} both run on {shared}; end one with last_day before the other begins")
