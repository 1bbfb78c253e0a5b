"""The bundle: what is in it, and that what is in it runs wherever it is unpacked."""

import json
import os
import subprocess
import tarfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from recsys_assets.remote.code import PACKAGES, digest_of, package_digest, package_folders
from recsys_assets.spark_jobs import bundle as bundling
from recsys_assets.spark_jobs.bundle import BundleError, libraries, libraries_digest, write_environment, write_package


def names_in(archive: Path) -> list[str]:
    with tarfile.open(archive) as opened:
        return opened.getnames()


def test_a_bundle_lies_under_the_digest_of_its_code_and_names_its_libraries(bundle: Path) -> None:
    assert bundle.name == package_digest()
    assert sorted(file.name for file in bundle.iterdir()) == ["bundle.json", "entry.py", "package.tar.gz"]
    manifest = json.loads((bundle / "bundle.json").read_text())
    assert manifest["environment"] == "environments/libraries.tar.gz"
    assert manifest["machine"] == os.uname().machine
    assert set(manifest) == {"environment", "python", "machine", "libc"}


def test_the_package_holds_every_source_and_every_file_that_it_reads(bundle: Path) -> None:
    names = set(names_in(bundle / "package.tar.gz"))
    for folder in package_folders():
        here = {f"{folder.name}/{one.relative_to(folder).as_posix()}" for one in folder.rglob("*.py")}
        assert here <= names
    assert {"recsys_assets/ebook_store.yaml", "recsys_assets/inspector/templates/base.html"} <= names
    assert any(name.endswith(".dist-info/METADATA") for name in names)  # versions are told by it
    assert not any("__pycache__" in name or name.startswith("tests") for name in names)


def test_the_same_code_makes_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    again = write_package(Path(), tmp_path, tmp_path / "environments" / "libraries.tar.gz")
    for file in bundle.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()


def test_a_wheel_that_lacks_a_package_makes_no_bundle(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in bundling.SOURCES:
        if name != "pyproject.toml":
            (checkout / name).symlink_to(Path(name).absolute())
    listed = Path("pyproject.toml").read_text(encoding="utf-8").replace('  "recsys_assets.remote",\n', "")
    (checkout / "pyproject.toml").write_text(listed, encoding="utf-8")
    with pytest.raises(BundleError, match=r"see that pyproject\.toml lists every package"):
        write_package(checkout, tmp_path / "bundle", tmp_path / "bundle" / "libraries.tar.gz")
    assert not (tmp_path / "bundle").exists()


def test_any_changed_source_is_another_code(tmp_path: Path) -> None:
    digests = set()
    for name, content in (("a.py", "1"), ("a.py", "2"), ("b.py", "2")):
        folder = tmp_path / str(len(digests)) / "package"
        folder.mkdir(parents=True)
        (folder / name).write_text(content)
        (folder / "leftover.pyc").write_text(str(len(digests)))
        digests.add(digest_of([folder]))
    assert len(digests) == 3
    assert len(PACKAGES) == len(package_folders())


def test_the_libraries_are_those_that_run_here_without_tools_and_without_spark() -> None:
    names = {one.name.lower() for one in libraries()}
    assert {"dagster", "dagster-pipes", "dagster-pyspark", "deltalake", "polars", "pyarrow", "mlflow", "boto3"} <= names
    assert "uvloop" in names  # of an extra: uvicorn[standard]
    assert not names & {"pyspark", "py4j", "recsys-assets", "pytest", "ruff", "playwright", "moto"}
    assert libraries_digest() == libraries_digest()


def test_the_environment_runs_wherever_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one library of the many, which takes a second instead of minutes."""
    monkeypatch.setattr(bundling, "libraries", lambda: [distribution("packaging")])
    write_environment(tmp_path / "environment.tar.gz")
    assert [one.name for one in tmp_path.iterdir()] == ["environment.tar.gz"]
    with tarfile.open(tmp_path / "environment.tar.gz") as archive:
        archive.extractall(tmp_path / "elsewhere" / "environment", filter="data")
    script = "import json, packaging, sqlite3, ssl, sys; print(json.dumps([sys.prefix, packaging.__file__, sys.path]))"
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "mine.py").write_text("")
    ran = subprocess.run(
        ["./environment/bin/python", "-c", script + "; import mine"],
        cwd=tmp_path / "elsewhere",
        env={"PYTHONPATH": str(tmp_path / "first")},
        check=True,
        capture_output=True,
        text=True,
    )
    root = tmp_path / "elsewhere" / "environment"
    prefix, library, path = json.loads(ran.stdout)
    assert prefix == str(root)
    assert library == str(root / "site-packages" / "packaging" / "__init__.py")
    assert all(not one or Path(one).is_relative_to(tmp_path) for one in path)
