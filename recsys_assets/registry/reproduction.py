"""Making the artifacts of a version again from what was recorded with them, to compare; nothing is stored.

Rows are recognized by their digest: those of the recorded Delta version, or, where that one can be read no more because
its files were compacted and vacuumed, those that the slot has today. What was fitted on Spark is fitted there again;
sums depend on how rows are spread over tasks, so its arrays are close and seldom the very same.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recsys_assets.columns import TRAINING_SET
from recsys_assets.models.artifact import ARRAYS_HASH, Artifact, ArtifactError, Fit, Provenance, fitted_part, save
from recsys_assets.models.family import Family, Interactions, SparkInteractions
from recsys_assets.models.made_with import SPARK
from recsys_assets.models.training import digest_of, fit_rows, fitted_rows, of_split
from recsys_assets.models.versions import CANDIDATE, RELEASE, stored_artifact
from recsys_assets.registry.serving_versions import TRAINED_THROUGH
from resources.engine import SparkEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion

SPLITS = {CANDIDATE: "train", RELEASE: "release"}


@dataclass(frozen=True)
class Reproduction:
    """An artifact of a version, and the same one made again.

    Attributes:
        name: `candidate` or `release`.
        recorded: SHA-256 of the stored arrays.
        rebuilt: SHA-256 of the arrays made again; None where the rows to make them from are gone.
        is_identical: Whether arrays and id map are the same.
        rows: Where the training rows were read, or why they could not be.
        differing: What it was made with and is not made with now, in words; that need not make a difference.
    """

    name: str
    recorded: str
    rebuilt: str | None
    is_identical: bool
    rows: str
    differing: tuple[str, ...]


def reproduce(
    lake: DeltaLake, registry: ModelRegistry, family: Family, version: ModelVersion
) -> Iterator[Reproduction]:
    """Make the artifacts of a version again: first the candidate, then the release if it has one.

    Only what was recorded counts: what is configured today is not asked.

    Raises:
        ArtifactError: An artifact is damaged, or an earlier release of this package made it, which recorded too little.
        RegistryError: The registry does not hold an artifact any more.
    """
    for name in (CANDIDATE, RELEASE) if TRAINED_THROUGH in version.tags else (CANDIDATE,):
        with stored_artifact(registry, family, version, name) as (recorded, folder):
            yield _again(lake, family, name, recorded, fitted_part(folder))


def _again(lake: DeltaLake, family: Family, name: str, recorded: Artifact, stored: dict[str, object]) -> Reproduction:
    provenance, fit = recorded.provenance, recorded.provenance.fit
    if fit is None:
        raise ArtifactError(
            f"the {name} of {family.name} for slot {provenance.slot} was made by an earlier release "
            f"({provenance.code_version}), which did not record its training rows; materialize models/{family.name} "
            "for the slot again for a version that can be reproduced"
        )
    found = _recorded_rows(lake, SPLITS[name], provenance, fit)
    if isinstance(found, _Gone):
        return Reproduction(name, str(stored[ARRAYS_HASH]), None, is_identical=False, rows=found.why, differing=())
    rows, where = found
    again = fit_rows(family, recorded.model.parameters, rows, fit.window_days, provenance)
    with tempfile.TemporaryDirectory() as folder:
        save(again, family, Path(folder))
        rebuilt = fitted_part(Path(folder))
    return Reproduction(
        name,
        str(stored[ARRAYS_HASH]),
        str(rebuilt[ARRAYS_HASH]),
        is_identical=rebuilt == stored,
        rows=where,
        differing=_differing(provenance, again.provenance),
    )


@dataclass(frozen=True)
class _Gone:
    """The rows that something was fitted on are not there any more."""

    why: str


def _on_spark(interactions: Interactions) -> SparkInteractions:
    """The same rows for a fit on Spark; of one version, this machine can hold them."""
    rows = SparkEngine().session.createDataFrame(interactions.rows.to_arrow())
    return SparkInteractions(rows, interactions.as_of)


def _recorded_rows(
    lake: DeltaLake, split: str, provenance: Provenance, fit: Fit
) -> tuple[Interactions | SparkInteractions, str] | _Gone:
    """The rows with the recorded digest, and where they were found."""
    slot, table = (provenance.slot, provenance.slot), TRAINING_SET.name
    against = []
    for version, where in (
        (provenance.training_set_version, f"Delta version {provenance.training_set_version} of {table}"),
        (None, f"the rows of slot {provenance.slot} that {table} holds today"),
    ):
        kept = lake.rows_if_kept(TRAINING_SET, slot, version)
        if kept is None:
            against.append(f"{where}: can be read no more")
            continue
        rows = of_split(kept.lazy(), split).collect()
        interactions = fitted_rows(rows, provenance.trained_through, fit.window_days)
        found = _on_spark(interactions) if SPARK in fit.made_with else interactions
        if digest_of(found) == fit.rows_sha256:
            return found, where
        against.append(
            f"{where}: {interactions.rows.height:,} other rows" if interactions.rows.height else f"{where}: none"
        )
    return _Gone(f"the training rows that it was fitted on are gone ({'; '.join(against)})")


def _differing(recorded: Provenance, now: Provenance) -> tuple[str, ...]:
    then, today = ({"recsys-assets": one.code_version, **_made_with(one)} for one in (recorded, now))
    return tuple(
        f"{name}: {then.get(name, 'not recorded')}, now {today.get(name, 'none')}"
        for name in sorted(then.keys() | today.keys())
        if then.get(name) != today.get(name)
    )


def _made_with(provenance: Provenance) -> dict[str, str]:
    return dict(provenance.fit.made_with) if provenance.fit else {}
