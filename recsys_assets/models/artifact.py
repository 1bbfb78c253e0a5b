"""Model artifacts: arrays in one npz file and a JSON manifest beside it, written and read here and nowhere else.

No pickle on the load path. What does not fit (another family, a flipped bit, ids that do not match the arrays) is
refused before anything is ranked with it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys_assets.models.family import Family, Model
from recsys_assets.platform import ConfigurationError, checked

MANIFEST = "manifest.json"
ARRAYS = "arrays.npz"


class ArtifactError(Exception):
    """An artifact must not be used; the message says what does not fit and what to do."""


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from.

    Attributes:
        slot: The training slot.
        trained_through: The last day that the model has seen.
        seed: The seed of the fit.
        training_set_version: Delta version of `features/training_set`.
        feature_spec_hash: Fingerprint of the rules and columns.
        code_version: Version of this package.
    """

    slot: date
    trained_through: date
    seed: int
    training_set_version: int
    feature_spec_hash: str
    code_version: str


@dataclass(frozen=True)
class Artifact:
    """A model and where it comes from."""

    model: Model
    provenance: Provenance


def save(artifact: Artifact, family: Family, folder: Path) -> None:
    """Write an artifact; the same model gives the same bytes.

    Args:
        artifact: What to write.
        family: The model's family.
        folder: Where to; it exists and is empty.
    """
    model = artifact.model
    np.savez(folder / ARRAYS, allow_pickle=False, **model.arrays())
    manifest = {
        "family": family.name,
        "parameters": model.parameters.model_dump(mode="json"),
        **{key: str(value) if isinstance(value, date) else value for key, value in asdict(artifact.provenance).items()},
        "arrays_sha256": _sha256(folder / ARRAYS),
        "item_ids": model.item_ids.to_list(),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")


def load(family: Family, folder: Path) -> Artifact:
    """Read an artifact back.

    Args:
        family: The family it must be of.
        folder: Where it lies.

    Raises:
        ArtifactError: It is damaged, incomplete, or of another family.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        digest = _sha256(folder / ARRAYS)
    except (OSError, ValueError) as error:
        raise _refusal(family, f"cannot be read ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("family") != family.name:
        raise _refusal(family, "has the manifest of another family")
    if manifest.get("arrays_sha256") != digest:
        raise _refusal(family, "has arrays that are not those that were written")
    try:
        return _rebuild(family, manifest, folder)
    except (KeyError, TypeError, ValueError, ConfigurationError) as error:
        raise _refusal(family, f"has a manifest that does not fit ({error})") from error


def _rebuild(family: Family, manifest: dict[str, Any], folder: Path) -> Artifact:
    with np.load(folder / ARRAYS, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    item_ids = _id_map(manifest["item_ids"])
    for name, values in arrays.items():
        described = values.shape[0] if values.ndim else 0
        if described != item_ids.len():
            raise ValueError(f"{name} describes {described} items, the id map {item_ids.len()}")
    parameters = checked(family.parameters, manifest["parameters"], MANIFEST)
    provenance = Provenance(
        slot=date.fromisoformat(manifest["slot"]),
        trained_through=date.fromisoformat(manifest["trained_through"]),
        seed=int(manifest["seed"]),
        training_set_version=int(manifest["training_set_version"]),
        feature_spec_hash=str(manifest["feature_spec_hash"]),
        code_version=str(manifest["code_version"]),
    )
    return Artifact(family.load(item_ids, parameters, arrays), provenance)


def _id_map(stored: object) -> pl.Series:
    """The id map of a manifest; ties are broken by an item's place in it, so it must be sorted."""
    if not isinstance(stored, list) or stored != sorted(set(stored)):
        raise ValueError("item_ids must be a sorted list that names no item twice")
    return pl.Series("item_id", stored, dtype=pl.String)


def is_finite(model: Model) -> bool:
    """Whether every parameter is a finite number."""
    return all(bool(np.isfinite(values).all()) for values in model.arrays().values())


def _refusal(family: Family, problem: str) -> ArtifactError:
    return ArtifactError(
        f"the {family.name} artifact {problem}; it is not used. Train the slot again, or roll back to another version"
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
