"""`recsys approve`, `recsys reject`, `recsys rollback`: each is a run of `approved/<family>`, also beside a daemon."""

import getpass
import os
from collections.abc import Iterator
from typing import Any

import dagster as dg
from rich.markup import escape

from recsys_assets.cli.driver import LOGGER, progress_definitions
from recsys_assets.cli.installation import Installation
from recsys_assets.cli.progress import run_progress
from recsys_assets.cli.screen import screen
from recsys_assets.configuration import ConfigurationError
from recsys_assets.registry.approval import Nothing, RefusedError
from recsys_assets.registry.approved import decision_config
from recsys_assets.registry.deciding import Ask, Judge, Wish, plan, standing_at_rest
from recsys_assets.registry.decision import Signature, now
from recsys_assets.registry.promotions import Decided, approved_key, read_newest_decision
from recsys_assets.registry.standing import read_standing

RECORDED = "Recorded what was left undone or done in MLflow:"


def decide_command(ask: Ask, family: str, version: int, reason: str, by: str | None) -> None:
    """Decide on a version, and tell what came of it.

    Args:
        ask: What to do.
        family: The family.
        version: The version; 0 for the one to go back to.
        reason: Why.
        by: Who; default: the user of the operating system.

    Raises:
        ConfigurationError: There is no such family.
        RefusedError: It cannot be, or somebody else decided meanwhile.
        RegistryError: The registry does not answer.
    """
    installation = Installation.from_env()
    require_family(installation, family)
    console = screen()
    seen = read_newest_decision(installation.instance, family)
    settled = _settle(installation, family)
    if settled is not None:
        console.print(f"{RECORDED} {escape(in_words(family, settled))}", soft_wrap=True)
        seen = settled
    asked = {"version": version, "reason": reason, "by": by or _user()}
    nothing = _nothing_to_do(installation, ask, family, asked)
    if nothing is not None:
        console.print(f"{family}: {escape(nothing.reason)}", soft_wrap=True)
        return
    _run(installation, family, decision=ask, seen=seen.event_id if seen else 0, **asked)
    decided = read_newest_decision(installation.instance, family)
    if decided is not None:
        console.print(escape(in_words(family, decided)), soft_wrap=True)
    if ask != "reject":
        console.print("The lists follow with the next `recsys run`, or by themselves while `recsys dev` is running.")


def record_all(installation: Installation) -> Iterator[str]:
    """Record what was left undone, or was done in MLflow itself, as the sensor does; yields what, in words.

    Only families with a history are looked at: what was left undone at the first slot, that slot does again.
    """
    for family in installation.platform.families:
        if read_newest_decision(installation.instance, family) is not None:
            settled = _settle(installation, family)
            if settled is not None:
                yield f"{RECORDED} {in_words(family, settled)}"


def require_family(installation: Installation, family: str) -> None:
    """Make sure that a family is configured.

    Raises:
        ConfigurationError: It is not.
    """
    families = installation.platform.families
    if family not in families:
        raise ConfigurationError(
            f"there is no family {family!r} in recsys.yaml; the families are {', '.join(families)}"
        )


def in_words(family: str, decided: Decided) -> str:
    """A decision as a sentence."""
    version = f"{family} version {decided.version} (slot {decided.slot})"
    if decided.kind == "rejection":
        return f"{version} is rejected, by {decided.by}: {decided.reason}"
    if not decided.version:
        return f"no version of {family} is in production any more, by {decided.by}: {decided.reason}"
    before = f" after version {decided.previous}" if decided.previous else ""
    return f"{version} is in production{before} ({decided.kind}), by {decided.by}: {decided.reason}"


def _settle(installation: Installation, family: str) -> Decided | None:
    """Complete and record what a killed command has left, or what was done in MLflow; None where there was nothing."""
    instance, registry = installation.instance, installation.model_registry
    if read_standing(instance, registry, family).is_settled:
        return None
    standing = standing_at_rest(instance, registry, family)
    if standing.is_settled:
        return None
    _run(installation, family, decision="record")
    newest = read_newest_decision(instance, family)
    return None if newest == standing.newest else newest


def _nothing_to_do(installation: Installation, ask: Ask, family: str, asked: dict[str, Any]) -> Nothing | None:
    """Ask the rules first, so that what cannot be leaves no failed run behind; the run asks them again."""
    signed = Signature(asked["by"], now(), asked["reason"])
    wish = Wish(ask, asked["version"])
    try:
        planned = plan(wish, signed, installation.model_registry, family, Judge(installation.lake))
    except RefusedError as error:
        raise RefusedError(f"{family}: {error}") from error
    return planned if isinstance(planned, Nothing) else None


def _run(installation: Installation, family: str, **asked: Any) -> None:
    """Materialize `approved/<family>` in this process, on the persistent instance.

    Raises:
        RefusedError: The rules, or somebody who was faster, stood against it.
    """
    with run_progress() as progress:
        job = progress_definitions(installation, progress).resolve_job_def("decide")
        try:
            job.execute_in_process(
                instance=installation.instance,
                asset_selection=[approved_key(family)],
                run_config={**decision_config(family, **asked), "loggers": {LOGGER: {}}},
            )
        except dg.Failure as failure:
            raise RefusedError(failure.description or "it was refused; see the run in the Dagster UI") from failure


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number that has no name
        return f"user {os.getuid()}"
