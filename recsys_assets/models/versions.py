"""Finding and loading the models of registered versions."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from recsys_assets.models.artifact import Artifact, ArtifactError, load
from recsys_assets.models.family import Family
from resources.model_registry import ModelRegistry, ModelVersion, RegistryError

CANDIDATE, RELEASE = "candidate", "release"


def newest_of_slot(registry: ModelRegistry, family: str, slot: date) -> ModelVersion:
    """The version that was trained last for a slot.

    Raises:
        RegistryError: The family was not trained for the slot.
    """
    for version in registry.versions(family):
        if version.slot == slot:
            return version
    raise RegistryError(f"{family} has no version of slot {slot}; materialize models/{family} for it first")


def unused_version_of_slot(registry: ModelRegistry, family: str, slot: date) -> ModelVersion:
    """The version that was trained last for a slot, to be judged or released.

    Raises:
        RegistryError: There is none, or it was approved already: what has served is never judged or fitted again.
    """
    version = newest_of_slot(registry, family, slot)
    if version.status == "Approved":
        raise RegistryError(
            f"{family} version {version.version} of slot {slot} was approved already and stays as it is; "
            f"materialize models/{family} for the slot first, which makes a new version"
        )
    return version


def require_fit(artifact: Artifact, version: ModelVersion, trained_through: date, spec_hash: str) -> None:
    """Make sure that a candidate was trained on the days and by the rules that it is about to be judged by.

    Raises:
        ArtifactError: It has seen other days, or features with another meaning.
    """
    provenance = artifact.provenance
    for what, actual, expected in (
        ("trained through", provenance.trained_through, trained_through),
        ("feature specification", provenance.feature_spec_hash, spec_hash),
    ):
        if actual != expected:
            raise ArtifactError(
                f"{version.family} version {version.version} does not fit its slot: {what} is {actual}, must be "
                f"{expected}; materialize models/{version.family} for slot {version.slot} again"
            )


def load_version(registry: ModelRegistry, family: Family, version: ModelVersion, name: str) -> Artifact:
    """Load an artifact of a version.

    Args:
        registry: Where it is.
        family: The version's family.
        version: Which version.
        name: `candidate` or `release`.

    Raises:
        RegistryError: The version has no such artifact.
        ArtifactError: The artifact is damaged.
    """
    with stored_artifact(registry, family, version, name) as (artifact, _):
        return artifact


@contextmanager
def stored_artifact(
    registry: ModelRegistry, family: Family, version: ModelVersion, name: str
) -> Iterator[tuple[Artifact, Path]]:
    """Load an artifact of a version, and have its files at hand while the context lasts; see `load_version`."""
    with registry.artifact(version, name) as folder:
        try:
            artifact = load(family, folder)
        except ArtifactError as error:
            raise ArtifactError(f"{version.family} version {version.version}, {name}: {error}") from error
        yield artifact, folder
