"""Which approved versions a candidate is compared with: those in whose place it would serve, by their candidate fits.

A version that has seen days of the holdout would win by having seen them, so it is no rival. How the comparison goes
is measured in `measurement`, and what follows is decided in `gate`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import takewhile

from recsys_assets.columns import report_table
from recsys_assets.models.artifact import Artifact, ArtifactError
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.models.versions import CANDIDATE, load_version
from recsys_assets.slot_window import SlotWindow
from recsys_assets.validation.report import change_to, report_metrics
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion, RegistryError

CANDIDATE_THROUGH = "candidate_trained_through"
"""Tag of a judged version: the last day that its candidate has seen."""


@dataclass(frozen=True)
class Rival:
    """An approved version.

    Attributes:
        who: Which one, in words.
        version: Its registry version.
        ranked_days: Days of a user's history that it ranks with.
        artifact: Its candidate; None where it cannot be used.
        problem: Why not, and what to do.
    """

    who: str
    version: int
    ranked_days: int
    artifact: Artifact | None
    problem: str = ""


@dataclass(frozen=True)
class Rivals:
    """What a candidate is compared with.

    Attributes:
        approved: The version in use; where that one has seen the holdout, the newest approved one that has not.
        best: The best approved version of late, where that is another one.
    """

    approved: Rival | None = None
    best: Rival | None = None

    def by_name(self) -> dict[str, Rival]:
        """`approved` and `best`, as far as there are such."""
        named = {"approved": self.approved, "best": self.best}
        return {name: rival for name, rival in named.items() if rival is not None}


@dataclass(frozen=True)
class _Judging:
    """What is judged, and where the rivals are found."""

    registry: ModelRegistry
    lake: DeltaLake
    family: ConfiguredFamily
    window: SlotWindow


def rivals_of(
    registry: ModelRegistry, lake: DeltaLake, family: ConfiguredFamily, judged: ModelVersion, window: SlotWindow
) -> Rivals:
    """Find the approved versions that a candidate must not be worse than.

    Args:
        registry: Where versions are.
        lake: Where their reports are.
        family: The family, with its settings.
        judged: The version of the candidate, which is not compared with itself.
        window: The slot that it is judged for.
    """
    judging = _Judging(registry, lake, family, window)
    in_use = registry.approved(family.name)
    serves = in_use.version if in_use is not None else None
    approved = {one.version: one for one in registry.versions(family.name) if one.status == "Approved"}
    if in_use is not None:
        approved[in_use.version] = in_use
    versions = [one for one in approved.values() if one.version != judged.version]
    versions.sort(key=lambda one: (one.version == serves, *_age(one)), reverse=True)
    rival = _approved(judging, versions, serves)
    return Rivals(rival, _best(judging, versions, None if rival is None else rival.version))


def _approved(judging: _Judging, versions: list[ModelVersion], serves: int | None) -> Rival | None:
    """The first version to compare with. One that serves is not passed over because it is damaged."""
    for version, found in _unaware(judging, versions):
        if version.version == serves:
            return _rival(judging.family, version, "in use", found)
        if isinstance(found, Artifact):
            return _rival(judging.family, version, "the newest approved one that has not seen the holdout", found)
    return None


def _best(judging: _Judging, versions: list[ModelVersion], compared: int | None) -> Rival | None:
    """The version that did best against popularity in its own report, unless it is compared already."""
    days = judging.family.settings.gate.approved_days
    slot = judging.window.slot
    late = {str(one.version): one for one in versions if slot - timedelta(days=days) <= one.slot <= slot}
    if not late:
        return None
    table, figure = report_table(judging.family.name, report_metrics()), change_to("popularity")
    reports = judging.lake.scan(table, (slot - timedelta(days=days), slot)).select("version", figure).drop_nulls()
    gains = [(gain, late[version]) for version, gain in reports.collect().iter_rows() if version in late]
    gains.sort(key=lambda one: (one[0], *_age(one[1])), reverse=True)
    better = takewhile(lambda one: one.version != compared, (version for _, version in gains))
    usable = ((version, found) for version, found in _unaware(judging, better) if isinstance(found, Artifact))
    found = next(usable, None)
    return found and _rival(judging.family, found[0], f"the best approved one of {days} days", found[1])


def _unaware(
    judging: _Judging, versions: Iterable[ModelVersion]
) -> Iterator[tuple[ModelVersion, Artifact | ArtifactError | RegistryError]]:
    """The versions whose candidates have not seen the holdout, with the candidate, or with why it cannot be used."""
    last = judging.window.candidate_through
    for version in versions:
        if date.fromisoformat(version.tags.get(CANDIDATE_THROUGH, str(date.min))) > last:
            continue  # known without loading it
        try:
            found = load_version(judging.registry, judging.family.family, version, CANDIDATE)
        except (ArtifactError, RegistryError) as error:
            yield version, error
            continue
        if found.provenance.trained_through <= last:
            yield version, found


def _rival(
    family: ConfiguredFamily, version: ModelVersion, role: str, found: Artifact | ArtifactError | RegistryError
) -> Rival:
    who = f"version {version.version} of slot {version.slot} ({role})"
    days = family.settings.ranked_days
    if isinstance(found, Artifact):
        return Rival(who, version.version, days, found)
    problem = (
        f"{found}. Put its artifact back, or put another version in use, and train the slot again; only with "
        "`max_ndcg_drop: 1` in the gate does a candidate pass without the comparison"
    )
    return Rival(who, version.version, days, None, problem)


def _age(version: ModelVersion) -> tuple[date, int]:
    return (version.slot, version.version)
