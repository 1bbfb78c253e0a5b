"""What is known of a version: where it comes from, how it was judged, and what differs from another one."""

from collections.abc import Mapping
from dataclasses import dataclass

from recsys_assets.models.artifact import Artifact, ArtifactError
from recsys_assets.models.family import Family
from recsys_assets.models.versions import CANDIDATE, RELEASE, load_version
from recsys_assets.registry.online import OnlineDay, online_day
from recsys_assets.registry.serving_versions import TRAINED_THROUGH
from recsys_assets.validation.gate import Verdict
from recsys_assets.validation.verdicts import stored_verdicts
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion, RegistryError

SHOWN_DIGITS = 16
UNKNOWN = "not recorded"


@dataclass(frozen=True)
class Facts:
    """What is known of a version.

    Attributes:
        version: Which one.
        origin: Where it comes from, by kind (data, features, parameters, code) and name.
        metrics: The figures on its run.
        online: How it did with real users on the newest day on which it was shown; None where it never was.
        verdicts: What the gate said of it.
        artifact: The release, or the candidate where it was never released; None where it cannot be used.
        artifact_is: Which of them it is, or why none can be used.
    """

    version: ModelVersion
    origin: Mapping[str, Mapping[str, str]]
    metrics: Mapping[str, float]
    online: OnlineDay | None
    verdicts: list[Verdict]
    artifact: Artifact | None
    artifact_is: str


def read_facts(lake: DeltaLake, registry: ModelRegistry, family: Family, version: ModelVersion) -> Facts:
    """Read what is known of a version; a damaged artifact is a fact, and no error."""
    artifact, artifact_is = _artifact(registry, family, version)
    return Facts(
        version=version,
        origin=_origin(version, artifact, registry.params(version)),
        metrics=registry.metrics(version),
        online=online_day(version),
        verdicts=stored_verdicts(lake, version),
        artifact=artifact,
        artifact_is=artifact_is,
    )


def differing(first: Mapping[str, str], second: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Name, first value, second value of what is not the same in both."""
    names = dict.fromkeys([*first, *second])
    both = ((name, first.get(name, UNKNOWN), second.get(name, UNKNOWN)) for name in names)
    return [(name, one, other) for name, one, other in both if one != other]


def _artifact(registry: ModelRegistry, family: Family, version: ModelVersion) -> tuple[Artifact | None, str]:
    name = RELEASE if TRAINED_THROUGH in version.tags else CANDIDATE
    try:
        return load_version(registry, family, version, name), name
    except (ArtifactError, RegistryError) as error:
        return None, str(error)


def _origin(
    version: ModelVersion, artifact: Artifact | None, parameters: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    tags, provenance = version.tags, None if artifact is None else artifact.provenance
    fit = None if provenance is None else provenance.fit
    return {
        "data": {
            "slot": str(version.slot),
            "trained through": tags.get(TRAINED_THROUGH)
            or (str(provenance.trained_through) if provenance else UNKNOWN),
            "days fitted on": str(fit.window_days) if fit else UNKNOWN,
            "training set, Delta version": tags.get("training_set_version", UNKNOWN),
            "training rows, digest": fit.rows_sha256[:SHOWN_DIGITS] if fit else UNKNOWN,
            "items known": str(artifact.model.item_ids.len()) if artifact else UNKNOWN,
        },
        "features": {"specification, hash": tags.get("feature_spec_hash", UNKNOWN)},
        "parameters": dict(sorted(parameters.items())),
        "code": {
            "code version": tags.get("code_version", UNKNOWN),
            "seed": str(provenance.seed) if provenance else UNKNOWN,
            **(dict(sorted(fit.made_with.items())) if fit else {}),
        },
    }
