"""Finding and loading the models of registered versions."""

from datetime import date

from recsys_assets.models.artifact import Artifact, load
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
    with registry.artifact(version, name) as folder:
        return load(family, folder)
