"""Experiments: which one runs, which arm a user is in, and what an arm is served.

Pure: what an experiment may say is in `exposure`, how its arms do with users is the business of `monitoring`.
"""

from collections.abc import Callable, Mapping
from datetime import date
from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_assets.exposure import DEFAULT_ARM, Arm
from recsys_assets.platform import Platform

DIGEST_BYTES = 8
UNUSED_BITS = 11
"""Of the 64 bits of a digest; the others are all that a float between 0 and 1 can hold."""
EVERYBODY = Arm(share=1.0)


class UnusableVersionError(Exception):
    """An arm names a version that may not serve; the message says which, and what would be right."""


def running_experiment(platform: Platform, day: date) -> str | None:
    """The name of the experiment that runs on `day`; None where there is none. There is never more than one."""
    return next((name for name, one in platform.experiments.items() if one.runs_on(day)), None)


def arms_on(platform: Platform, day: date) -> dict[str, Arm]:
    """The arms that are served on `day`, the control first; without an experiment everybody's arm, `default`."""
    running = running_experiment(platform, day)
    return {DEFAULT_ARM: EVERYBODY} if running is None else dict(platform.experiments[running].arms)


def arms_of(platform: Platform, users: pl.Series, day: date) -> pl.Series:
    """The arm of each user on `day`.

    Args:
        platform: The configuration.
        users: Ids, String without nulls.
        day: The day that is served.

    Returns:
        Names of arms, String, as long as `users`, named `arm`.
    """
    running = running_experiment(platform, day)
    if running is None:
        return pl.Series("arm", [DEFAULT_ARM], dtype=pl.String).new_from_index(0, users.len())
    experiment = platform.experiments[running]
    return assigned(experiment.salt or running, {name: arm.share for name, arm in experiment.arms.items()}, users)


def arm_of(platform: Platform, user_id: str, day: date) -> str:
    """The arm of one user on `day`, the same as `arms_of` says."""
    arm: str = arms_of(platform, pl.Series([user_id], dtype=pl.String), day).item()
    return arm


def assigned(salt: str, shares: Mapping[str, float], users: pl.Series) -> pl.Series:
    """Spread users over arms by weighted rendezvous hashing.

    Each arm draws a number u between 0 and 1 for the user: the first 53 bits of BLAKE2b of `salt:arm:user`. The user
    is in the arm with the smallest -ln(u) / share, which is arm a with probability share(a) (Schindelhauer and
    Schomaker, "Weighted distributed hash tables", SPAA 2005). So an arm depends on the salt and the user alone, not on
    the order of the arms, and it is as sticky as can be: when shares change, a user can only move into an arm whose
    share has grown compared with the arm that they leave. Two experiments with different salts are independent.

    Args:
        salt: Of the experiment.
        shares: Arm to its share, above 0.
        users: Ids, String without nulls.

    Returns:
        Names of arms, String, as long as `users`, named `arm`.
    """
    waits = np.stack([-np.log(_draws(f"{salt}:{arm}:", users)) / share for arm, share in shares.items()])
    return pl.Series("arm", list(shares), dtype=pl.String).gather(waits.argmin(axis=0))


def weights_of_arm(arm: Arm, in_force: Mapping[str, float]) -> dict[str, float]:
    """Family to its weight in the arm's blend, above 0.

    Args:
        arm: The arm.
        in_force: The weights that blend where the arm says nothing of its own.
    """
    if arm.family is not None:
        return {arm.family: 1.0}
    return {name: weight for name, weight in (arm.weights or in_force).items() if weight > 0}


def versions_of_arm(arm: Arm, in_use: Mapping[str, int]) -> dict[str, int]:
    """Family to the registry version that serves the arm.

    Args:
        arm: The arm.
        in_use: The versions that serve where the arm says nothing of its own.
    """
    return {**in_use, **(arm.versions or {})}


def unusable_versions(arms: Mapping[str, Arm], status_of: Callable[[str, int], str | None]) -> list[str]:
    """What is wrong with the versions that arms name: one sentence each, none where all may serve.

    Args:
        arms: Name to arm.
        status_of: The registry's status of a family's version; None where there is no such version.
    """
    named = [(arm, *one) for arm, settings in arms.items() for one in (settings.versions or {}).items()]
    return [
        f"arm {arm}: version {version} of {family} {_stands(status)}; an arm may name only a version that is Approved"
        for arm, family, version in named
        if (status := status_of(family, version)) != "Approved"
    ]


def require_usable(arms: Mapping[str, Arm], status_of: Callable[[str, int], str | None]) -> None:
    """Make sure that every version that an arm names may serve.

    Args:
        arms: As `unusable_versions` takes them.
        status_of: The same.

    Raises:
        UnusableVersionError: One may not.
    """
    wrong = unusable_versions(arms, status_of)
    if wrong:
        raise UnusableVersionError("\n".join(wrong))


def _stands(status: str | None) -> str:
    return "does not exist" if status is None else f"is {status}"


def _draws(prefix: str, users: pl.Series) -> NDArray[np.float64]:
    """A number in (0, 1] for each user, shape (users,)."""
    start = blake2b(prefix.encode(), digest_size=DIGEST_BYTES)
    digests = b"".join(_digest(start, user) for user in users)
    bits = np.frombuffer(digests, dtype=">u8") >> UNUSED_BITS
    return (bits.astype(np.float64) + 1) / 2.0 ** (64 - UNUSED_BITS)  # never 0, whose logarithm is infinite


def _digest(start: blake2b, user: str) -> bytes:
    continued = start.copy()
    continued.update(user.encode())
    return continued.digest()
