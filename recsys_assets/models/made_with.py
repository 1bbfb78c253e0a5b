"""What decides the bytes of a fit beside rows, parameters and seed: code, libraries and machine, by name.

The same things give the same bytes; others may, so that they are named where the bytes are not the same.
"""

import hashlib
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import polars as pl
from threadpoolctl import threadpool_info

from recsys_assets.models.family import Family

LIBRARIES = ("implicit", "numpy", "polars", "scipy")


def made_with(family: Family) -> dict[str, str]:
    """Name to version, or whatever else tells one from another.

    Args:
        family: What is fitted; its module's code is told by a hash.
    """
    import scipy.linalg  # noqa: F401 - it brings a BLAS of its own, which counts only when it is loaded

    return {
        "code of the family": _hash_of_module(family.parameters.__module__),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "BLAS": "; ".join(sorted({_told(library) for library in threadpool_info() if library["user_api"] == "blas"})),
        "machine": f"{platform.system()} {platform.machine()}, {pl.thread_pool_size()} threads",
    }


def _told(library: dict[str, str]) -> str:
    """One BLAS; its kernels are chosen by the processor, and how it divides the work by the number of threads."""
    kernels = library.get("architecture", "")
    return " ".join(f"{library['internal_api']} {library['version']} {kernels}".split()) + (
        f" with {library['num_threads']} threads"
    )


def _hash_of_module(name: str) -> str:
    source = sys.modules[name].__file__
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()[:16] if source else name
