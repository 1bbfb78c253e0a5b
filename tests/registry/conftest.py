"""One family with versions, verdicts and its asset `approved/<family>`: real MLflow, a real lake, a real instance."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from recsys_assets.models import popularity
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.models.family import Family
from recsys_assets.models.versions import RELEASE
from recsys_assets.platform import FamilySettings
from recsys_assets.registry.approved import approved_asset, decision_config
from recsys_assets.registry.promotions import Decided, read_decisions
from recsys_assets.registry.standing import Standing, read_standing
from recsys_assets.validation.gate import Verdict, required_checks
from recsys_assets.validation.verdicts import store_verdicts
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion

FIRST_SLOT = date(2026, 3, 2)


@dataclass
class Desk:
    """Where decisions on one family are made."""

    name: str
    registry: ModelRegistry
    lake: DeltaLake
    instance: dg.DagsterInstance
    folder: Path
    release: Callable[[Family, date, Path], None]
    approval: str = "automatic"
    registered: int = field(default=0, init=False)

    def trained(self, slot: int | None = None, *, passes: bool = True) -> ModelVersion:
        """A released version of the slot-th slot, by default of the next one."""
        self.registered += 1
        day = FIRST_SLOT + timedelta(days=self.registered if slot is None else slot)
        tags = {"training_set_version": "3", "feature_spec_hash": "abc", "code_version": "1.0"}
        version = self.registry.register(self.name, day, self.folder, tags=tags, params={"window": "7"})
        self.registry.add_artifact(version, self.released(day), RELEASE)
        self.registry.set_status(version, "PendingManualApproval", "released, waits for approval")
        self.judged(version, passes=passes)
        return version

    def released(self, slot: date) -> Path:
        """The folder of a release."""
        folder = self.folder.with_name(f"release-{slot}")
        if not folder.exists():
            self.release(replace(popularity.FAMILY, name=self.name), slot, folder)
        return folder

    def judged(self, version: ModelVersion, *, passes: bool = True, checks: set[str] | None = None) -> None:
        """Stores a verdict of every required check."""
        names = required_checks(self.name) if checks is None else checks
        verdicts = [Verdict(check, 0.1, 0.05, passes, f"{check} is such") for check in sorted(names)]
        store_verdicts(self.lake, version, "recipe", "candidate", verdicts)

    def decide(self, decision: str = "approve", version: int = 0, reason: str = "because", **more: Any) -> Any:
        """Materializes the asset alone, as a command or the UI does it."""
        config = {"decision": decision, "version": version, "reason": reason, **more}
        return self.run(decision_config(self.name, **config))

    def run(self, config: dict[str, Any] | None = None, **more: Any) -> Any:
        """Materializes the asset in whatever way."""
        settings = FamilySettings.model_validate({"approval": self.approval})
        family = replace(popularity.FAMILY, name=self.name)
        asset = approved_asset(ConfiguredFamily(family, settings, popularity.PopularityParameters()))
        return dg.materialize(
            [asset],
            instance=self.instance,
            resources={"lake": self.lake, "engine": PolarsEngine(), "model_registry": self.registry},
            run_config=config,
            **{"raise_on_error": False, **more},
        )

    def dies(self, decision: str, version: int, after: int, *, is_before: bool = False) -> list[str]:
        """Asks for a decision and is killed after so many writes, or just before the last of them.

        Returns:
            What was written.
        """
        writes: list[str] = []
        alive, self.registry = self.registry, dying(self.registry, writes, after, is_before=is_before)
        config = {"decision": decision, "version": version, "reason": "because"}
        with suppress(Died, dg.Failure):
            self.run(decision_config(self.name, **config), raise_on_error=True)
        self.registry = alive
        return writes

    @property
    def standing(self) -> Standing:
        return read_standing(self.instance, self.registry, self.name)

    @property
    def in_use(self) -> int | None:
        found = self.registry.approved(self.name)
        return None if found is None else found.version

    @property
    def statuses(self) -> dict[int, str]:
        return {one.version: one.status for one in self.registry.versions(self.name)}

    def reason(self, version: int) -> str:
        return self.registry.version(self.name, version).status_reason

    @property
    def history(self) -> list[Decided]:
        """Oldest first."""
        return list(read_decisions(self.instance, self.name))[::-1]

    @property
    def told(self) -> list[tuple[str, int, int]]:
        """What was recorded: kind, version, previous version."""
        return [(one.kind, one.version, one.previous) for one in self.history]


class Died(BaseException):
    """The process is gone; nothing catches this."""


def dying(alive: ModelRegistry, writes: list[str], lasts: int, *, is_before: bool) -> ModelRegistry:
    """The same registry through a client that dies."""

    def write(what: str, do: Callable[[], None]) -> None:
        if len(writes) == lasts - 1 and is_before:
            raise Died
        do()
        writes.append(what)
        if len(writes) == lasts:
            raise Died

    class DyingRegistry(ModelRegistry):
        def set_tags(self, version: ModelVersion, tags: Any) -> None:
            for key, value in tags.items():
                write(key, lambda key=key, value=value: ModelRegistry.set_tags(self, version, {key: value}))

        def point_approved_at(self, version: ModelVersion) -> None:
            write("alias", lambda: ModelRegistry.point_approved_at(self, version))

        def tag_family(self, family: str, key: str, value: str | None) -> None:
            what = "intent" if value else "forget"
            write(what, lambda: ModelRegistry.tag_family(self, family, key, value))

    return DyingRegistry(
        tracking_uri=alive.tracking_uri, artifact_root=alive.artifact_root, lock_folder=alive.lock_folder
    )


@pytest.fixture
def desk(
    model_registry: ModelRegistry, family: str, tmp_path: Path, tiny_release: Callable[[Family, date, Path], None]
) -> Iterator[Desk]:
    """A family without versions."""
    candidate = tmp_path / "candidate"
    candidate.mkdir()
    (candidate / "manifest.json").write_text("{}", encoding="utf-8")
    registry = ModelRegistry(
        tracking_uri=model_registry.tracking_uri,
        artifact_root=model_registry.artifact_root,
        lock_folder=str(tmp_path / "locks"),
    )
    with dg.DagsterInstance.ephemeral() as instance:
        yield Desk(family, registry, DeltaLake(root=str(tmp_path / "lake")), instance, candidate, tiny_release)
