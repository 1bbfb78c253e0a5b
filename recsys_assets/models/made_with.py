"""What decides the bytes of a fit beside parameters and seed: its rows, by a digest; code, libraries, machine, by name.

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

DIGESTED_AT_ONCE = 1_000_000
SPARK = "pyspark"
LIBRARIES = ("implicit", "numpy", "polars", "scipy")


def rows_digest(rows: pl.DataFrame) -> str:
    """SHA-256 of sorted rows, by their values alone: neither the files that they lay in nor a library decides it.

    Args:
        rows: As in HISTORY_SCHEMA, without nulls.
    """
    digest = hashlib.sha256()
    for part in rows.iter_slices(DIGESTED_AT_ONCE):
        for ids in (part["user_id"], part["item_id"]):
            digest.update(ids.str.len_bytes().to_numpy().astype("<u4").tobytes())
            digest.update(ids.str.join("").item().encode())
        digest.update(part["day"].to_physical().to_numpy().astype("<i4").tobytes())
        digest.update(part["weight"].to_numpy().astype("<f8").tobytes())
    return digest.hexdigest()


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


def made_with_spark(family: Family) -> dict[str, str]:
    """The same of a fit on Spark, whose tasks run on whatever machines there are.

    Args:
        family: What is fitted.
    """
    return {
        "code of the family": _hash_of_module(family.parameters.__module__),
        "python": platform.python_version(),
        **{name: version(name) for name in (SPARK, "numpy", "polars")},
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
