"""Which version of a family serves a day. Real time asks for the newest day."""

from datetime import date

from recsys_assets.models.artifact import Artifact
from recsys_assets.models.family import Family
from recsys_assets.models.versions import RELEASE, load_version
from resources.model_registry import ModelRegistry, ModelVersion

TRAINED_THROUGH = "trained_through"
"""Tag of a version: the last day that its release has seen."""


def version_for_day(registry: ModelRegistry, family: str, day: date) -> ModelVersion | None:
    """The version that computes the lists of `day`.

    It is the version that the alias points at, unless that one has seen days after `day`: then the newest
    approved one that has not, because a list must not know the future.
    """
    approved = registry.approved(family)
    if approved is None or _knows_no_later_day(approved, day):
        return approved
    former = (one for one in registry.versions(family) if one.status == "Approved" and _knows_no_later_day(one, day))
    return max(former, key=lambda one: (one.slot, one.version), default=None)


def load_release(registry: ModelRegistry, family: Family, version: ModelVersion) -> Artifact:
    """Load what serves."""
    return load_version(registry, family, version, RELEASE)


def _knows_no_later_day(version: ModelVersion, day: date) -> bool:
    through = version.tags.get(TRAINED_THROUGH)
    return through is not None and date.fromisoformat(through) <= day
