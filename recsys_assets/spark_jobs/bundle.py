"""The bundle that brings jobs to a cluster: this package, a Python of its own with the libraries, and the entry script.

    OUTPUT/CODE/bundle.json  package.tar.gz  entry.py     a folder for each state of the code
    OUTPUT/environments/LIBRARIES.tar.gz                  and one archive for each set of libraries

What was made of the same things is the same, byte by byte, and names never change their meaning: bundles of several
states lie beside each other while old jobs still run. The libraries are those that are installed here, so a bundle must
be made on what the cluster's machines are: the same processor, and a glibc that is no newer.
"""

import argparse
import compileall
import gzip
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from py_compile import PycInvalidationMode

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from recsys_assets.remote.code import PACKAGES, digest_of, package_digest

DISTRIBUTION = "recsys-assets"
OF_THE_CLUSTER = frozenset({"pyspark", "py4j"})
"""These come with Spark, in the cluster's own version."""
SOURCES = (*PACKAGES, "pyproject.toml", "README.md", "LICENSE")
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
ENTRY = """\
from recsys_assets.spark_jobs.entry import main

main()
"""
LAUNCHER = """\
#!/bin/sh
# A Python that runs from wherever it was unpacked; what else the environment names is found before its libraries.
root=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd -P)
export LD_LIBRARY_PATH="$root/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$root/site-packages"
exec "$root/bin/PYTHON" "$@"
"""
NOT_NEEDED = ("site-packages", "dist-packages", "test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3")
UNCHECKED = PycInvalidationMode.UNCHECKED_HASH
NO_TIME = 315_532_800
"""1980-01-01, the first moment that every archive can tell."""


class BundleError(Exception):
    """The bundle would not work; the message says why."""


def main() -> None:
    """Make the bundle of the checkout in the current folder."""
    parser = argparse.ArgumentParser(description="Make the bundle for jobs on EMR Serverless.")
    parser.add_argument("output", type=Path, help="a folder; what is there already is not made again")
    output = parser.parse_args().output
    environment = output / "environments" / f"{libraries_digest()}.tar.gz"
    if not environment.exists():
        write_environment(environment)
    folder = write_package(Path(), output, environment)
    sys.stdout.write(f"{folder}: for {platform.machine()}, {_libc()}, Python {platform.python_version()}\n")
    sys.stdout.write(f'aws s3 sync {output} "$RECSYS_EMR_BUNDLE"\n')


def write_package(checkout: Path, output: Path, environment: Path) -> Path:
    """Archive the code of a checkout, beside the entry script and what tells where its libraries are.

    Args:
        checkout: The root of the repository.
        output: The folder of all bundles.
        environment: The archive of the libraries, in it.

    Returns:
        The folder of this state of the code.

    Raises:
        BundleError: The wheel cannot be built, or does not hold the code that runs here.
    """
    with tempfile.TemporaryDirectory(prefix="recsys-bundle-") as scratch:
        unpacked = _built(checkout, Path(scratch))
        digest = digest_of(unpacked / name for name in PACKAGES)
        if digest != package_digest():
            raise BundleError(
                "the wheel does not hold the code that runs here: make the bundle in the checkout that is installed, "
                "and see that pyproject.toml lists every package"
            )
        folder = output / digest
        folder.mkdir(parents=True, exist_ok=True)
        _archive(unpacked, folder / "package.tar.gz")
    (folder / "entry.py").write_text(ENTRY, encoding="utf-8")
    manifest = {
        "environment": environment.relative_to(output).as_posix(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "libc": _libc(),
    }
    (folder / "bundle.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return folder


def _built(checkout: Path, scratch: Path) -> Path:
    """The content of the wheel, built from a copy: a build leaves files behind, and would find old ones."""
    source, wheels, unpacked = scratch / "source", scratch / "wheels", scratch / "unpacked"
    source.mkdir()
    wheels.mkdir()
    for name in SOURCES:
        if (checkout / name).is_dir():
            shutil.copytree(checkout / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(checkout / name, source / name)
    command = [sys.executable, "-c", BUILD, str(wheels)]
    built = subprocess.run(command, cwd=source, check=False, capture_output=True, text=True)  # noqa: S603 - all is ours
    if built.returncode:
        raise BundleError(f"the wheel cannot be built: {built.stderr.strip()}")
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        wheel.extractall(unpacked)  # noqa: S202 - we have just built it
    return unpacked


def write_environment(target: Path) -> None:
    """Archive this Python and the libraries that the package needs, as they are installed here.

    Args:
        target: The archive, which appears when it is whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="recsys-bundle-") as scratch:
        root = Path(scratch)
        _copy_python(root)
        for library in libraries():
            for file in library.files or ():
                if ".." not in file.parts and "__pycache__" not in file.parts:
                    _copy(Path(str(library.locate_file(file))), root / "site-packages" / file)
        # Compiled here, valid wherever it is unpacked: every job would compile it again otherwise.
        compileall.compile_dir(root, quiet=2, stripdir=str(root), workers=0, invalidation_mode=UNCHECKED)
        _archive(root, target)


def _copy_python(root: Path) -> None:
    """The interpreter and its standard library; it finds them by the place where it lies itself."""
    python, library = Path(sys.executable).resolve(), Path(os.__file__).parent
    _copy(python, root / "bin" / python.name)
    launcher = root / "bin" / "python"
    launcher.write_text(LAUNCHER.replace("bin/PYTHON", f"bin/{python.name}"), encoding="utf-8")
    launcher.chmod(0o755)
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        shared = str(sysconfig.get_config_var("INSTSONAME"))
        _copy(Path(str(sysconfig.get_config_var("LIBDIR"))) / shared, root / "lib" / shared)
    ignored = shutil.ignore_patterns(*NOT_NEEDED, "__pycache__", "config-*")
    shutil.copytree(library, root / sys.platlibdir / library.name, ignore=ignored)


def libraries() -> list[Distribution]:
    """What the package needs, in the order of their names, without what comes with Spark."""
    found: dict[str, Distribution] = {}
    waiting, asked = [Requirement(DISTRIBUTION)], set()
    while waiting:
        needed = waiting.pop()
        name, extras = canonicalize_name(needed.name), frozenset(needed.extras)
        if name in OF_THE_CLUSTER or (name, extras) in asked:
            continue
        asked.add((name, extras))
        found[name] = distribution(name)
        waiting += [one for one in map(Requirement, found[name].requires or ()) if _applies(one, extras)]
    del found[canonicalize_name(DISTRIBUTION)]
    return [found[name] for name in sorted(found)]


def _applies(needed: Requirement, extras: frozenset[str]) -> bool:
    if needed.marker is None:
        return True
    return any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def libraries_digest() -> str:
    """A digest of the libraries, by name and version, and of what they were built for."""
    built_for = f"{platform.python_version()} {platform.machine()} {_libc()}"
    names = [built_for, *(f"{one.name}=={one.version}" for one in libraries())]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _libc() -> str:
    return os.confstr("CS_GNU_LIBC_VERSION") or "another C library"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _archive(folder: Path, target: Path) -> None:
    """Everything in a folder, in the order of the names and without times and owners; whole or not at all."""
    unfinished = target.with_name(f".{target.name}")
    with (
        unfinished.open("wb") as file,
        gzip.GzipFile("", "wb", 6, file, mtime=NO_TIME) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in _files(folder):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size, entry.mtime = path.stat().st_size, NO_TIME
            entry.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            with path.open("rb") as content:
                archive.addfile(entry, content)
    unfinished.replace(target)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


if __name__ == "__main__":
    main()
