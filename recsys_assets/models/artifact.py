"""Model artifacts: arrays in one npz file and a JSON manifest beside it, written and read here and nowhere else.

No pickle on the load path. What does not fit (another family, a flipped bit, ids that do not match the arrays) is
refused before anything is ranked with it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys_assets.configuration import ConfigurationError, checked
from recsys_assets.models.family import Family, Model

MANIFEST = "manifest.json"
ARRAYS = "arrays.npz"
ARRAYS_HASH = "arrays_sha256"
FITTED = (ARRAYS_HASH, "item_ids")
"""Keys of the manifest that tell what came out of a fit; the others tell what went into it."""
SINCE_REPRODUCIBLE = {"fit", "manifest_sha256"}
"""Keys that artifacts of earlier releases do not have; an artifact has both of them or neither."""


class ArtifactError(Exception):
    """An artifact must not be used; the message says what does not fit and what to do."""


@dataclass(frozen=True)
class Fit:
    """What the same model can be fitted from again, beside parameters and seed.

    Attributes:
        window_days: The newest days of the training set that it was fitted on.
        rows_sha256: Digest of the very rows; the same whatever files they lie in.
        made_with: What decides the bytes beside all this, by name: versions of libraries, the machine.
    """

    window_days: int
    rows_sha256: str
    made_with: Mapping[str, str]


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from. No moment is among it: the same fit gives the same artifact.

    Attributes:
        slot: The training slot.
        trained_through: The last day that the model has seen.
        seed: The seed of the fit.
        training_set_version: Delta version of `features/training_set`.
        feature_spec_hash: Fingerprint of the rules and columns.
        code_version: Version of this package.
        fit: What it can be fitted from again; None where an earlier release of this package did not record it.
    """

    slot: date
    trained_through: date
    seed: int
    training_set_version: int
    feature_spec_hash: str
    code_version: str
    fit: Fit | None = None


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
        ARRAYS_HASH: _sha256(folder / ARRAYS),
        "item_ids": model.item_ids.to_list(),
    }
    signed = {**manifest, "manifest_sha256": _digest(manifest)}
    (folder / MANIFEST).write_text(json.dumps(signed, indent=1, ensure_ascii=False), encoding="utf-8")


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
    if not _is_as_written(manifest):
        raise _refusal(family, "has a manifest that is not the one that was written")
    if manifest.get(ARRAYS_HASH) != digest:
        raise _refusal(family, "has arrays that are not those that were written")
    try:
        return _rebuild(family, manifest, folder)
    except (KeyError, TypeError, ValueError, ConfigurationError) as error:
        raise _refusal(family, f"has a manifest that does not fit ({error})") from error


def fitted_part(folder: Path) -> dict[str, Any]:
    """What came out of the fit of a stored artifact: the hash of its arrays, and the id map.

    Args:
        folder: Of an artifact that can be loaded.
    """
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return {key: manifest[key] for key in FITTED}


def _is_as_written(manifest: dict[str, Any]) -> bool:
    """Whether nothing in a manifest was changed; earlier releases wrote nothing to tell it by."""
    if not SINCE_REPRODUCIBLE & set(manifest):
        return True
    rest = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return manifest.get("manifest_sha256") == _digest(rest)


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
        fit=Fit(**manifest["fit"]) if manifest.get("fit") else None,
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


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
