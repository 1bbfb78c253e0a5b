"""`recsys doctor`: try everything that a run would need, without changing anything, and say what to mend."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import typer
from redis.exceptions import NoPermissionError
from rich.markup import escape

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.screen import screen
from recsys_assets.columns import INTERACTIONS, SOURCE_TABLES
from recsys_assets.ingestion.intake import take_in
from recsys_assets.ingestion.landing_days import landed_days
from recsys_assets.models.catalogue import configured_families
from recsys_assets.registry.promotions import read_approval
from recsys_assets.serving.generations import current
from recsys_assets.slot_window import days_between
from resources.online_store import Client


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    what: str
    is_well: bool
    sentence: str


def doctor_command() -> None:
    """Print a line per check.

    Raises:
        typer.Exit: Something is not well.
    """
    console = screen()
    findings = examine()
    for finding in findings:
        mark = "[green]ok[/]     " if finding.is_well else "[bold red]problem[/]"
        console.print(f"{mark} {finding.what}: {escape(finding.sentence)}", soft_wrap=True)
    if not all(finding.is_well for finding in findings):
        raise typer.Exit(1)


def examine() -> list[Finding]:
    """Every finding; when the configuration cannot be read, that one alone."""
    opened: list[Installation] = []

    def configuration() -> str:
        opened.append(Installation.from_env())
        platform = opened[0].platform
        families = ", ".join(configured_families(platform))
        return f"{len(platform.sources)} tables mapped, families {families}, first day {platform.first_day}"

    findings = [_try("configuration", configuration)]
    if opened:
        checks = {"landing": _landing, "online store": _online_store, "model registry": _model_registry}
        findings += [_try(what, lambda check=check: check(opened[0])) for what, check in checks.items()]  # type: ignore[misc]
        findings += [_try("lake", lambda: _lake(opened[0])), _try("models", lambda: _models(opened[0]))]
    return findings


def _try(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, is_well=True, sentence=check())
    except Exception as error:  # noqa: BLE001 - whatever is wrong is the finding
        return Finding(what, is_well=False, sentence=str(error) or type(error).__name__)


def _landing(installation: Installation) -> str:
    """List the landing, and read the newest day of each table."""
    days = landed_days(installation.landing.files(), installation.platform)
    if not days:
        raise ValueError(
            f"{installation.settings.landing} holds no file that the mapping knows; compare its names with "
            "`path` in recsys.yaml, or set RECSYS_LANDING"
        )
    told = []
    for name in installation.platform.sources:
        newest = [day for day in days.values() if name in day.paths][-1:]
        result = take_in(installation.landing, SOURCE_TABLES[name], installation.platform, newest)
        counts = result.counts.select("accepted", "rejected").sum().row(0)
        told.append(f"{name} {counts[0]} accepted, {counts[1]} rejected")
        if counts[1] and not counts[0]:
            reason, line, raw = result.rejected.select("reason", "line", "raw").row(0)
            raise ValueError(
                f"the newest file of {name} gives no accepted row: line {line} is rejected as {reason}: {raw}; "
                f"correct sources.{name} in recsys.yaml"
            )
    without = [day for day in days_between(min(days), max(days)) if day not in days]
    gaps = f", {len(without)} days between without files, the last {without[-1]}" if without else ""
    return f"{len(days)} days up to {max(days)}{gaps}; newest files: {'; '.join(told)}"


def _online_store(installation: Installation) -> str:
    client = installation.online_store.connect()
    _refuse_eviction(client)
    generation = current(client)
    if generation is None:
        return "answers, nothing published yet"
    return f"answers, generation {generation.name} with {generation.lists} lists"


def _refuse_eviction(client: Client) -> None:
    """A store that makes room by removing any key loses lists; whether it does, it may keep to itself."""
    with suppress(NoPermissionError):
        memory = client.info("memory")
        policy = memory.get("maxmemory_policy", "")
        if memory.get("maxmemory") and policy.startswith("allkeys"):
            raise ValueError(
                f"its maxmemory-policy is {policy}: when full, it removes lists in use; set it to noeviction"
            )


def _model_registry(installation: Installation) -> str:
    models = installation.model_registry.artifact_root
    return f"SQLite under RECSYS_HOME, models in {models}" if models else "answers"


def _lake(installation: Installation) -> str:
    version = installation.lake.version(INTERACTIONS.name)
    state = "nothing written yet" if version < 0 else f"interactions at Delta version {version}"
    return f"{installation.lake.root}, {state}"


def _models(installation: Installation) -> str:
    """How old what serves is: days since its slot."""
    last = installation.platform.last_day or datetime.now(tz=UTC).astimezone(installation.platform.zone).date()
    told = []
    for family in installation.platform.families:
        approval = read_approval(installation.instance, family)
        age = "none approved yet" if approval is None else f"version {approval.version}, slot {approval.slot}"
        behind = "" if approval is None else f", {max((last - approval.slot).days, 0)} days behind"
        told.append(f"{family} {age}{behind}")
    return "; ".join(told)
