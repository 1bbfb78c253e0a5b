"""An artifact that does not fit is refused, by a message that names the family and says what to do."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recsys_assets.models import als, popularity
from recsys_assets.models.artifact import (
    ARRAYS,
    MANIFEST,
    SINCE_REPRODUCIBLE,
    Artifact,
    ArtifactError,
    Fit,
    Provenance,
    fitted_part,
    is_finite,
    load,
    save,
)
from recsys_assets.models.popularity import PopularityModel, PopularityParameters

PROVENANCE = Provenance(
    date(2026, 3, 2), date(2026, 2, 22), 0, 5, "spec", "1.0", Fit(30, "ab" * 32, {"numpy": "2.0", "machine": "Größe"})
)
POPULARITY = PopularityModel(
    pl.Series("item_id", ["a", "b", "ü"]), PopularityParameters(), np.array([3, 2, 1], dtype=np.float32)
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same artifact for every example of a test, which leaves it as it is."""
    folder = tmp_path_factory.mktemp("written")
    save(Artifact(POPULARITY, PROVENANCE), popularity.FAMILY, folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(Artifact(POPULARITY, PROVENANCE), popularity.FAMILY, tmp_path)
    return tmp_path


def rewrite(folder: Path, **changes: object) -> None:
    """Change keys of the manifest as an earlier release would have written it; None removes one."""
    manifest: dict[str, Any] = {**json.loads((folder / MANIFEST).read_text(encoding="utf-8")), **changes}
    kept = {key: value for key, value in manifest.items() if value is not None and key not in SINCE_REPRODUCIBLE}
    (folder / MANIFEST).write_text(json.dumps(kept), encoding="utf-8")


def replace_arrays(folder: Path, **arrays: object) -> None:
    """Other arrays, with a digest that fits them."""
    np.savez(folder / ARRAYS, allow_pickle=True, **arrays)
    rewrite(folder, arrays_sha256=hashlib.sha256((folder / ARRAYS).read_bytes()).hexdigest())


def refusal(folder: Path) -> str:
    with pytest.raises(ArtifactError) as refused:
        load(popularity.FAMILY, folder)
    message = str(refused.value)
    assert message.startswith("the popularity artifact ")
    assert message.endswith("Train the slot again, or roll back to another version")
    return message


def test_an_artifact_of_an_earlier_release_still_serves(folder: Path) -> None:
    rewrite(folder)
    loaded = load(popularity.FAMILY, folder)
    assert loaded.provenance == replace(PROVENANCE, fit=None)
    assert loaded.model.arrays()["popularity"].tolist() == [3, 2, 1]


def test_the_same_model_from_the_same_place_is_the_same_bytes(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    again = tmp_path_factory.mktemp("again")
    save(load(popularity.FAMILY, folder), popularity.FAMILY, again)
    for name in (MANIFEST, ARRAYS):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_what_came_out_of_a_fit_does_not_depend_on_who_made_it_when(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    save(Artifact(POPULARITY, replace(PROVENANCE, slot=date(2026, 3, 4), code_version="2.0")), popularity.FAMILY, other)
    assert fitted_part(other) == fitted_part(folder)
    renamed = PopularityModel(pl.Series("item_id", ["a", "b", "c"]), POPULARITY.parameters, POPULARITY.popularity)
    save(Artifact(renamed, PROVENANCE), popularity.FAMILY, other)
    assert fitted_part(other) != fitted_part(folder)


@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
@example(place=0, bit=0)
def test_a_flipped_bit_anywhere_in_the_manifest_is_noticed(written: Path, place: int, bit: int) -> None:
    content = bytearray((written / MANIFEST).read_bytes())
    content[place % len(content)] ^= 1 << bit
    with tempfile.TemporaryDirectory() as broken:
        shutil.copy(written / ARRAYS, broken)
        (Path(broken) / MANIFEST).write_bytes(content)
        refusal(Path(broken))


@pytest.mark.parametrize(
    ("was", "becomes"),
    [('"b"', '"c"'), ('"fit"', '"fid"'), ('"manifest_sha256"', '"manifest_sha257"'), ('"seed": 0', '"seed": 1')],
)
def test_a_manifest_that_would_still_fit_is_refused_when_it_was_changed(folder: Path, was: str, becomes: str) -> None:
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    (folder / MANIFEST).write_text(text.replace(was, becomes), encoding="utf-8")
    assert "has a manifest that is not the one that was written" in refusal(folder)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_manifest_is_noticed(folder: Path, share: float) -> None:
    content = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).write_bytes(content[: int(share * len(content))])
    assert "cannot be read" in refusal(folder)


def test_what_was_saved_is_what_is_loaded(folder: Path) -> None:
    loaded = load(popularity.FAMILY, folder)
    assert loaded.provenance == PROVENANCE
    assert loaded.model.item_ids.to_list() == ["a", "b", "ü"]
    assert loaded.model.arrays()["popularity"].tolist() == [3, 2, 1]


def test_the_manifest_can_be_read_by_a_person(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["trained_through"] == "2026-02-22"
    assert manifest["parameters"] == {"half_life_days": 14.0}
    assert manifest["item_ids"] == ["a", "b", "ü"]


@pytest.mark.parametrize("place", [0, 64, -1])
def test_a_flipped_bit_in_the_arrays_is_noticed(folder: Path, place: int) -> None:
    content = bytearray((folder / ARRAYS).read_bytes())
    content[place] ^= 1
    (folder / ARRAYS).write_bytes(content)
    assert "has arrays that are not those that were written" in refusal(folder)


def test_truncated_arrays_are_noticed(folder: Path) -> None:
    content = (folder / ARRAYS).read_bytes()
    (folder / ARRAYS).write_bytes(content[: len(content) // 2])
    assert "has arrays that are not those that were written" in refusal(folder)


@pytest.mark.parametrize("name", [ARRAYS, MANIFEST])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert name in refusal(folder)


def test_the_manifest_of_another_family_is_refused(folder: Path) -> None:
    rewrite(folder, family="als")
    assert "has the manifest of another family" in refusal(folder)


def test_an_artifact_is_not_loaded_as_another_family(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="the als artifact has the manifest of another family"):
        load(als.FAMILY, folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"popularity"'])
def test_a_manifest_that_is_no_object_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    refusal(folder)


def test_a_manifest_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in refusal(folder)


def test_ids_that_do_not_fit_the_arrays_are_refused_with_both_counts(folder: Path) -> None:
    rewrite(folder, item_ids=["a", "b"])
    assert "popularity describes 3 items, the id map 2" in refusal(folder)


@pytest.mark.parametrize("ids", [[1, 2, 3], "abc", {"a": 0}, ["b", "a", "c"], ["a", "a", "b"], ["a", None, "b"]])
def test_an_id_map_that_is_not_sorted_distinct_text_is_refused(folder: Path, ids: object) -> None:
    rewrite(folder, item_ids=ids)
    assert "does not fit" in refusal(folder)


@pytest.mark.parametrize("key", ["item_ids", "parameters", "slot", "trained_through", "seed", "feature_spec_hash"])
def test_a_manifest_without_a_key_is_refused_by_the_name_of_the_key(folder: Path, key: str) -> None:
    rewrite(folder, **{key: None})
    assert key in refusal(folder)


@pytest.mark.parametrize(
    ("parameters", "named"), [({"half_lif_days": 3}, "half_lif_days"), ({"half_life_days": "soon"}, "half_life_days")]
)
def test_unknown_and_wrong_parameters_are_named(folder: Path, parameters: dict[str, object], named: str) -> None:
    rewrite(folder, parameters=parameters)
    assert named in refusal(folder)


def test_a_day_that_is_no_day_is_refused(folder: Path) -> None:
    rewrite(folder, trained_through="yesterday")
    assert "yesterday" in refusal(folder)


def test_arrays_of_another_name_are_refused(folder: Path) -> None:
    replace_arrays(folder, item_factors=np.zeros((3, 2), dtype=np.float32))
    assert "'popularity'" in refusal(folder)


def test_a_single_number_in_place_of_an_array_is_refused(folder: Path) -> None:
    replace_arrays(folder, popularity=np.float32(1))
    assert "does not fit" in refusal(folder)


def test_a_pickled_array_is_never_opened(folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    replace_arrays(folder, popularity=np.array([Touch(marker)] * 3, dtype=object))
    assert "does not fit" in refusal(folder)
    assert not marker.exists()


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def test_an_array_of_objects_is_not_written(tmp_path: Path) -> None:
    model = PopularityModel(POPULARITY.item_ids, POPULARITY.parameters, np.array([None] * 3))
    with pytest.raises(ValueError, match="allow_pickle"):
        save(Artifact(model, PROVENANCE), popularity.FAMILY, tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_is_found(value: float) -> None:
    broken = np.array([1, value, 0], dtype=np.float32)
    assert not is_finite(PopularityModel(POPULARITY.item_ids, POPULARITY.parameters, broken))
    assert is_finite(POPULARITY)
