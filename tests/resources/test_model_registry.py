"""The model registry on MLflow with SQLite: every candidate is a version, and an alias says which one serves."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from resources.model_registry import ModelRegistry, ModelVersion, RegistryError

SLOT = date(2026, 3, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A candidate artifact."""
    candidate = tmp_path / "trained"
    candidate.mkdir()
    (candidate / "manifest.json").write_text("{}", encoding="utf-8")
    return candidate


@pytest.fixture
def version(model_registry: ModelRegistry, family: str, folder: Path) -> ModelVersion:
    return model_registry.register(family, SLOT, folder, tags={"code_version": "1.0"}, params={"factors": "8"})


def test_a_family_that_was_never_trained_has_no_versions_and_none_in_use(
    model_registry: ModelRegistry, family: str
) -> None:
    assert model_registry.versions(family) == []
    assert model_registry.approved(family) is None


def test_a_new_version_is_pending_and_knows_where_it_comes_from(version: ModelVersion, family: str) -> None:
    assert (version.family, version.version, version.slot) == (family, 1, SLOT)
    assert (version.status, version.status_reason) == ("PendingManualApproval", "trained, not yet validated")
    assert version.tags["code_version"] == "1.0"
    assert datetime.now(tz=UTC) - version.created_at < timedelta(minutes=1)


def test_the_registered_model_and_its_hyper_parameters_can_be_seen_in_mlflow(
    model_registry: ModelRegistry, version: ModelVersion
) -> None:
    from mlflow import MlflowClient  # its import takes seconds

    client = MlflowClient(model_registry.tracking_uri)
    assert client.get_run(version.run_id).data.params == {"factors": "8"}
    assert client.get_model_version(f"recsys-{version.family}", "1").run_id == version.run_id


def test_versions_are_numbered_and_the_newest_comes_first(
    model_registry: ModelRegistry, version: ModelVersion, folder: Path
) -> None:
    older_slot = model_registry.register(version.family, date(2026, 2, 2), folder, tags={}, params={})
    assert [one.version for one in model_registry.versions(version.family)] == [2, 1]
    assert model_registry.version(version.family, 2) == older_slot


def test_families_whose_names_begin_alike_are_kept_apart(
    model_registry: ModelRegistry, version: ModelVersion, folder: Path
) -> None:
    model_registry.register(f"{version.family}_fast", SLOT, folder, tags={}, params={})
    assert model_registry.versions(version.family) == [version]


def test_a_version_that_does_not_exist_is_named(model_registry: ModelRegistry, version: ModelVersion) -> None:
    with pytest.raises(RegistryError, match=f"{version.family} has no version 99; `recsys models` lists them"):
        model_registry.version(version.family, 99)


def test_the_version_of_a_family_that_was_never_trained_is_named(model_registry: ModelRegistry, family: str) -> None:
    with pytest.raises(RegistryError, match=f"{family} has no version 1"):
        model_registry.version(family, 1)


def test_a_status_is_set_with_its_reason_on_one_version_only(
    model_registry: ModelRegistry, version: ModelVersion, folder: Path
) -> None:
    other = model_registry.register(version.family, SLOT, folder, tags={}, params={})
    model_registry.set_status(version, "Rejected", "NDCG at 10 is 0.01, below 0.02")
    read = model_registry.version(version.family, version.version)
    assert (read.status, read.status_reason) == ("Rejected", "NDCG at 10 is 0.01, below 0.02")
    assert read.tags["code_version"] == "1.0"
    assert model_registry.version(version.family, other.version) == other


def test_a_status_that_somebody_misspelt_by_hand_counts_as_pending(
    model_registry: ModelRegistry, version: ModelVersion
) -> None:
    model_registry.set_tags(version, {"approval_status": "aproved"})
    assert model_registry.version(version.family, 1).status == "PendingManualApproval"


def test_a_status_alone_puts_nothing_in_use(model_registry: ModelRegistry, version: ModelVersion) -> None:
    model_registry.set_status(version, "Approved", "looks good")
    assert model_registry.approved(version.family) is None


def test_the_alias_moves_forth_and_back(model_registry: ModelRegistry, version: ModelVersion, folder: Path) -> None:
    second = model_registry.register(version.family, SLOT, folder, tags={}, params={})
    in_use = []
    for chosen in (version, second, version):
        model_registry.point_approved_at(chosen)
        approved = model_registry.approved(version.family)
        in_use.append(None if approved is None else approved.version)
    assert in_use == [1, 2, 1]


def test_what_is_in_use_is_read_anew_each_time(model_registry: ModelRegistry, version: ModelVersion) -> None:
    model_registry.point_approved_at(version)
    model_registry.set_status(version, "Approved", "passed")
    approved = model_registry.approved(version.family)
    assert approved is not None
    assert approved.status_reason == "passed"


def test_another_process_sees_the_same_versions(model_registry: ModelRegistry, version: ModelVersion) -> None:
    other = ModelRegistry(tracking_uri=model_registry.tracking_uri, artifact_root=model_registry.artifact_root)
    assert other.versions(version.family) == [version]


def test_artifacts_come_back_under_their_names_and_are_gone_afterwards(
    model_registry: ModelRegistry, version: ModelVersion, folder: Path
) -> None:
    (folder / "manifest.json").write_text('{"is": "release"}', encoding="utf-8")
    model_registry.add_artifact(version, folder, "release")
    with model_registry.artifact(version, "candidate") as candidate, model_registry.artifact(version, "release") as it:
        assert (candidate / "manifest.json").read_text(encoding="utf-8") == "{}"
        assert (it / "manifest.json").read_text(encoding="utf-8") == '{"is": "release"}'
    assert not candidate.exists()
    assert not it.exists()


def test_a_missing_artifact_is_named(model_registry: ModelRegistry, version: ModelVersion) -> None:
    with (
        pytest.raises(RegistryError, match="version 1 has no release artifact"),
        model_registry.artifact(version, "release"),
    ):
        pass


def test_an_error_while_an_artifact_is_used_is_not_taken_for_a_missing_one(
    model_registry: ModelRegistry, version: ModelVersion
) -> None:
    with pytest.raises(OSError, match="disk full"), model_registry.artifact(version, "candidate"):
        raise OSError("disk full")


def test_the_newest_figure_of_a_name_counts(model_registry: ModelRegistry, version: ModelVersion) -> None:
    model_registry.log_metrics(version, {"ndcg_at_10": 0.25, "holdout_users": 50.0})
    model_registry.log_metrics(version, {"ndcg_at_10": 0.5})
    assert model_registry.metrics(version) == {"ndcg_at_10": 0.5, "holdout_users": 50.0}


@pytest.mark.parametrize("name", ["", "item-item", "als' OR name LIKE '%"])
def test_what_cannot_be_the_name_of_a_family_is_refused(model_registry: ModelRegistry, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a family"):
        model_registry.versions(name)


def test_a_server_that_does_not_answer_is_reported_with_its_address_and_the_remedy() -> None:
    with pytest.raises(RegistryError, match=r"http://127\.0\.0\.1:9 .* correct MLFLOW_TRACKING_URI"):
        ModelRegistry(tracking_uri="http://127.0.0.1:9").check()


def test_a_local_database_is_not_opened_by_a_check(tmp_path: Path) -> None:
    ModelRegistry(tracking_uri=f"sqlite:///{tmp_path}/mlflow/mlflow.db").check()
    assert list(tmp_path.iterdir()) == []
