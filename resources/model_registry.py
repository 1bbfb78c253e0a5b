"""The model registry: MLflow, with every trained candidate as a version.

It stores and finds versions, their tags, metrics and artifacts. When a version may be approved,
and what is in an artifact, is the business of `recsys_assets.registry` and `recsys_assets.models`.
mlflow is imported where it is used, because its import takes seconds.
"""

import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import dagster as dg

from resources.quiet_mlflow import quiet_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

FoundT = TypeVar("FoundT")
Status = Literal["PendingManualApproval", "Approved", "Rejected"]
STATUSES: tuple[Status, ...] = ("PendingManualApproval", "Approved", "Rejected")
APPROVED_ALIAS = "approved"
SLOT_TAG = "slot"
VERSIONS_PER_PAGE = 1_000
CHECK_SECONDS = 5.0
NOT_FOUND = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
"""MLflow's codes for a model, version or alias that is not there; any other error is a failure."""


class RegistryError(Exception):
    """The registry cannot be reached, or does not hold what was asked for."""


@dataclass(frozen=True)
class ModelVersion:
    """One registered version of a family.

    Attributes:
        family: The model family.
        version: Its number, counted from 1.
        run_id: The MLflow run that holds its parameters, metrics and artifacts.
        status: Where it stands in its life.
        status_reason: Why it stands there.
        slot: The training slot.
        tags: All tags.
        created_at: When it was registered.
    """

    family: str
    version: int
    run_id: str
    status: Status
    status_reason: str
    slot: date
    tags: Mapping[str, str]
    created_at: datetime


class ModelRegistry(dg.ConfigurableResource):
    """MLflow's tracking server and model registry behind the few operations that the platform needs.

    Attributes:
        tracking_uri: An MLflow server, or `sqlite:///...`.
        artifact_root: Folder for artifacts when no server decides; empty where one does.
        lock_folder: Folder for the locks of whoever decides on a family; empty where nobody else does.
    """

    tracking_uri: str
    artifact_root: str = ""
    lock_folder: str = ""

    def register(
        self,
        family: str,
        slot: date,
        folder: Path,
        *,
        tags: Mapping[str, str],
        params: Mapping[str, str],
        wrapper: Path | None = None,
    ) -> ModelVersion:
        """Make a version of a freshly trained candidate; its status is pending.

        Args:
            family: The model family.
            slot: The training slot.
            folder: The candidate artifact, stored under `candidate`.
            tags: Further tags of the version.
            params: Hyper-parameters, logged on the run.
            wrapper: An `MLmodel` with its files, stored beside the artifacts, which it finds there.
        """
        name = _registered_name(family)
        client = self._client
        run = client.create_run(self._experiment(name), run_name=f"{family} {slot}")
        for key, value in params.items():
            client.log_param(run.info.run_id, key, value)
        client.log_artifacts(run.info.run_id, str(folder), "candidate")
        if wrapper is not None:
            client.log_artifacts(run.info.run_id, str(wrapper))
        self._ensure_registered(name)
        status = {"approval_status": "PendingManualApproval", "status_reason": "trained, not yet validated"}
        all_tags = {SLOT_TAG: str(slot), **status, **tags}
        created = client.create_model_version(name, run.info.artifact_uri, run.info.run_id, tags=all_tags)
        return _version(family, created)

    def add_artifact(self, version: ModelVersion, folder: Path, name: str) -> None:
        """Store one more artifact folder with a version, such as `release`."""
        self._client.log_artifacts(version.run_id, str(folder), name)

    @contextmanager
    def artifact(self, version: ModelVersion, name: str) -> Iterator[Path]:
        """Bring an artifact folder of a version here, for as long as the context lasts.

        Raises:
            RegistryError: The version has no such artifact.
        """
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory(prefix="recsys-artifact-") as target:
            try:
                folder = Path(self._client.download_artifacts(version.run_id, name, target))
            except (MlflowException, OSError) as error:
                label = f"{version.family} version {version.version}"
                raise RegistryError(f"{label} has no {name} artifact: {error}") from error
            yield folder

    def log_metrics(self, version: ModelVersion, metrics: Mapping[str, float]) -> None:
        """Put figures on the version's run, for MLflow's own pages and for `recsys models`."""
        from mlflow.entities import Metric

        now = int(datetime.now(tz=UTC).timestamp() * 1000)
        entries = [Metric(key, value, now, 0) for key, value in metrics.items()]
        self._client.log_batch(version.run_id, metrics=entries)

    def log_steps(self, version: ModelVersion, name: str, values: Sequence[float]) -> None:
        """Put a figure that changes step by step on the version's run, counted from 1: MLflow draws its curve."""
        from mlflow.entities import Metric

        if values:
            now = int(datetime.now(tz=UTC).timestamp() * 1000)
            entries = [Metric(name, value, now, step) for step, value in enumerate(values, start=1)]
            self._client.log_batch(version.run_id, metrics=entries)

    def metrics(self, version: ModelVersion) -> dict[str, float]:
        """The figures on the version's run."""
        return dict(self._client.get_run(version.run_id).data.metrics)

    def params(self, version: ModelVersion) -> dict[str, str]:
        """The hyper-parameters on the version's run."""
        return dict(self._client.get_run(version.run_id).data.params)

    def versions(self, family: str) -> list[ModelVersion]:
        """All versions of a family, the newest first; what somebody registered by hand is none of them."""
        name = _registered_name(family)
        found = self._client.search_model_versions(
            f"name = '{name}'", max_results=VERSIONS_PER_PAGE, order_by=["version_number DESC"]
        )
        ours = (_version(family, item) for item in found if SLOT_TAG in item.tags)
        return sorted(ours, key=lambda item: -item.version)

    def version(self, family: str, number: int) -> ModelVersion:
        """One version.

        Raises:
            RegistryError: There is none with this number.
        """
        found = _if_there(lambda: self._client.get_model_version(_registered_name(family), str(number)))
        if found is None:
            raise RegistryError(f"{family} has no version {number}; `recsys models` lists them")
        return _version(family, found)

    def approved(self, family: str) -> ModelVersion | None:
        """The version that the alias `approved` points at, or None.

        Raises:
            RegistryError: Somebody pointed it at a version that was registered by hand.
        """
        found = _if_there(lambda: self._client.get_model_version_by_alias(_registered_name(family), APPROVED_ALIAS))
        return None if found is None else _version(family, found)

    def set_status(self, version: ModelVersion, status: Status, reason: str) -> None:
        """Say where a version stands in its life, and why."""
        self.set_tags(version, {"status_reason": reason, "approval_status": status})

    def set_tags(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        name = _registered_name(version.family)
        for key, value in tags.items():
            self._client.set_model_version_tag(name, str(version.version), key, value)

    def point_approved_at(self, version: ModelVersion) -> None:
        """Move the alias that decides what serves."""
        name = _registered_name(version.family)
        self._client.set_registered_model_alias(name, APPROVED_ALIAS, str(version.version))

    def remove_approved(self, family: str) -> None:
        """Remove the alias: no version of the family serves."""
        self._client.delete_registered_model_alias(_registered_name(family), APPROVED_ALIAS)

    def family_tag(self, family: str, key: str) -> str | None:
        """A tag of the family itself, beside those of its versions; None where it is not set."""
        found = _if_there(lambda: self._client.get_registered_model(_registered_name(family)))
        return None if found is None else found.tags.get(key)

    def tag_family(self, family: str, key: str, value: str | None) -> None:
        """Set a tag of the family itself, or remove it."""
        name = _registered_name(family)
        if value is None:
            self._client.delete_registered_model_tag(name, key)
        else:
            self._client.set_registered_model_tag(name, key, value)

    def check(self) -> None:
        """Ask a tracking server whether it is there; a local database is opened when it is first needed.

        Raises:
            RegistryError: It does not answer.
        """
        if not self.tracking_uri.startswith(("http://", "https://")):
            return
        try:
            with urllib.request.urlopen(f"{self.tracking_uri}/health", timeout=CHECK_SECONDS):  # noqa: S310 - as above
                pass
        except OSError as error:
            raise RegistryError(
                f"MLflow does not answer at {self.tracking_uri} ({error}); start it, or correct MLFLOW_TRACKING_URI, "
                "or unset it to use SQLite under RECSYS_HOME"
            ) from error

    @cached_property
    def _client(self) -> "MlflowClient":
        if self.tracking_uri.startswith("sqlite:///"):
            Path(self.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        with quiet_mlflow():
            from mlflow import MlflowClient

            return MlflowClient(self.tracking_uri, self.tracking_uri)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = f"{self.artifact_root}/{name}" if self.artifact_root else None
        return str(self._client.create_experiment(name, artifact_location=location))

    def _ensure_registered(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _if_there(ask: Callable[[], FoundT]) -> FoundT | None:
    """What MLflow answers; None where it has no such model, version or alias."""
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        if error.error_code in NOT_FOUND:
            return None
        raise


def _registered_name(family: str) -> str:
    if not family.isidentifier():
        raise ValueError(f"{family!r} cannot be the name of a family")
    return f"recsys-{family}"


def _version(family: str, found: "MlflowVersion") -> ModelVersion:
    tags = dict(found.tags)
    if SLOT_TAG not in tags:
        raise RegistryError(
            f"version {found.version} of {found.name} was registered by hand: it has no tag {SLOT_TAG!r} and cannot "
            f"serve; point the alias {APPROVED_ALIAS!r} at one of those that `recsys models {family}` lists"
        )
    status: Status = "PendingManualApproval"
    status = next((one for one in STATUSES if one == tags.get("approval_status")), status)
    return ModelVersion(
        family=family,
        version=int(found.version),
        run_id=str(found.run_id),
        status=status,
        status_reason=tags.get("status_reason", ""),
        slot=date.fromisoformat(tags[SLOT_TAG]),
        tags=tags,
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, tz=UTC),
    )
