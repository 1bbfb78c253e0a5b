"""Which news is due, as pure decisions on plain values. Reading the world and telling stays with `telling`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import takewhile
from typing import Literal, NamedTuple, Protocol, TypeVar

from recsys_assets.monitoring.messages import What

Stage = Literal["candidate", "release"]
WHAT_OF_KIND: Mapping[str, What] = {
    "promotion": "approved",
    "rollback": "rolled back",
    "rejection": "rejected",
    "noticed": "noticed",
}
Known = Callable[[str], bool]
"""Whether something was told, or is about to be, under a key."""


class Recorded(Protocol):
    """A decision in Dagster's history, as `registry.promotions` reads it."""

    @property
    def event_id(self) -> int:
        """Of the event that recorded it."""

    @property
    def kind(self) -> str:
        """What was decided, one of WHAT_OF_KIND."""

    @property
    def version(self) -> int:
        """On which version."""

    @property
    def since(self) -> float:
        """When it was recorded, in seconds since 1970."""

    @property
    def at(self) -> str:
        """When it was decided; empty where that was not kept."""


RecordedT = TypeVar("RecordedT", bound=Recorded)


@dataclass(frozen=True)
class Beginning:
    """Where reports began: nothing of before is told, so that an old installation does not tell its whole past.

    Attributes:
        since: The moment, in seconds since 1970.
        versions: Family to the newest version that had been judged by then.
    """

    since: float
    versions: Mapping[str, int]


class Judged(NamedTuple):
    """What the gate said of a version at one stage.

    Attributes:
        family: The family.
        version: Its number.
        slot: Its slot.
        stage: The stage.
        refusals: What did not pass, in words.
    """

    family: str
    version: int
    slot: date
    stage: Stage
    refusals: tuple[str, ...]


class DueVersion(NamedTuple):
    """A version to tell of: it is trained, or the gate has refused it."""

    key: str
    what: What
    judged: Judged


def due_versions(judged: Iterable[Judged], beginning: Beginning, is_known: Known) -> list[DueVersion]:
    """Versions that were judged and not told of yet, the oldest first.

    One that the gate refuses on the holdout is told as rejected, and not as trained too: that would be the same news
    twice. One whose release is refused was told as trained before.
    """
    due = []
    for one in sorted(judged, key=lambda one: (one.slot, one.version, one.stage)):
        what: What = "rejected" if one.refusals else "trained"
        key = f"{what}:{one.family}:{one.version}"
        is_news = one.refusals or one.stage == "candidate"
        if is_news and one.version > beginning.versions.get(one.family, 0) and not is_known(key):
            due.append(DueVersion(key, what, one))
    return due


def due_decisions(
    family: str, newest_first: Iterable[RecordedT], beginning: Beginning, is_known: Known
) -> list[tuple[str, RecordedT]]:
    """Decisions that were not told of yet, the oldest first; they are told in order, so older ones need no look."""

    def is_news(decided: RecordedT) -> bool:
        return decided.since >= beginning.since and not is_known(decision_key(family, decided))

    return [(decision_key(family, one), one) for one in takewhile(is_news, newest_first)][::-1]


def decision_key(family: str, decided: Recorded) -> str:
    """No two decisions on a family have the same moment, and a new history of Dagster counts its events anew."""
    what = WHAT_OF_KIND.get(decided.kind, decided.kind)
    return f"{what}:{family}:{decided.version}:{decided.at or decided.event_id}"


def due_runs(run_ids: Sequence[str], is_known: Known) -> list[tuple[str, str]]:
    """Key and id of the failed runs that were not told of yet."""
    return [(key, run_id) for run_id in run_ids if not is_known(key := f"run:{run_id}")]
