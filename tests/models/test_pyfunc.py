"""Every registered version is an MLflow model that `mlflow models serve` can serve, and nothing in it is pickled."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

import recsys_assets.models
from recsys_assets.columns import TRAINING_SET
from recsys_assets.models.artifact import ARRAYS, MANIFEST, Artifact, save
from recsys_assets.models.assets import build_assets
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.family import Interactions
from recsys_assets.models.lists import Asked, lists_from_histories
from recsys_assets.models.training import fit_on
from recsys_assets.models.versions import CANDIDATE, RELEASE, load_version
from recsys_assets.platform import Platform
from recsys_assets.slot_window import slot_window
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion
from resources.quiet_mlflow import quiet_mlflow

SLOT = date(2026, 3, 9)
START_SECONDS = 60.0
ASKED = [
    {"user_id": "u02", "item_id": "i01", "day": "2026-02-27", "weight": 2.0},
    {"user_id": "u01", "item_id": "i03"},
    {"user_id": "u02", "item_id": "i07", "day": "2026-03-01"},
    {"user_id": "new", "item_id": "unheard of"},
]


@dataclass(frozen=True)
class Registered:
    """A version as its asset registered it, and a release that was not there at that time."""

    registry: ModelRegistry
    family: ConfiguredFamily
    version: ModelVersion
    release: Artifact

    @property
    def uri(self) -> str:
        return f"models:/recsys-{self.family.name}/{self.version.version}"

    def artifact(self, name: str) -> Artifact:
        return load_version(self.registry, self.family.family, self.version, name)


@pytest.fixture(scope="module")
def registered(
    tiny_platform: Platform,
    model_registry: ModelRegistry,
    module_sales: Interactions,
    tmp_path_factory: pytest.TempPathFactory,
) -> Registered:
    content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["families"]["als"] = {"parameters": {"factors": 4, "half_life_days": 20.0}}
    platform = Platform.model_validate(content)
    lake = DeltaLake(root=str(tmp_path_factory.mktemp("lake")))
    rows = module_sales.rows.with_columns(ds=pl.lit(SLOT), item_index=pl.lit(0, pl.Int32))
    splits = [rows.with_columns(split=pl.lit(split)) for split in ("train", "release")]
    lake.replace(TRAINING_SET, pl.concat(splits).select(TRAINING_SET.schema.names()), (SLOT, SLOT))
    family = configured_families(platform)["als"]
    dg.materialize(
        build_assets(platform),
        selection=[dg.AssetKey(["models", "als"])],
        partition_key=str(SLOT),
        resources={"lake": lake, "engine": PolarsEngine(), "model_registry": model_registry},
    )
    release = fit_on(platform, family, lake, PolarsEngine(), slot_window(platform, SLOT), "release")
    return Registered(model_registry, family, model_registry.versions("als")[0], release)


@pytest.fixture(scope="module")
def module_sales() -> Interactions:
    """Some users like the items of their own number's parity."""
    rows = [
        (f"u{user:02}", f"i{item:02}", SLOT - timedelta(days=9 + (user * item) % 20), 1.0 + (user + item) % 3)
        for user in range(20)
        for item in range(12)
        if (user + item) % 2 == 0 and user * item % 5
    ]
    return Interactions(
        pl.DataFrame(
            rows,
            schema={"user_id": pl.String, "item_id": pl.String, "day": pl.Date, "weight": pl.Float64},
            orient="row",
        ),
        SLOT,
    )


@pytest.fixture
def copied(registered: Registered, tmp_path: Path) -> Path:
    """All that the registry keeps of the version, to add to and to break."""
    with registered.registry.artifact(registered.version, "") as folder:
        shutil.copytree(folder, tmp_path / "model")
    return tmp_path / "model"


def expected(artifact: Artifact, n: int = 10) -> list[dict[str, Any]]:
    return lists_from_histories(artifact, pl.DataFrame(ASKED), Asked(n)).to_dicts()


def loaded(uri: str) -> Any:
    with quiet_mlflow():
        import mlflow

        return mlflow.pyfunc.load_model(uri)


def predicted(uri: str, rows: list[dict[str, Any]] = ASKED, **params: object) -> list[dict[str, Any]]:
    with quiet_mlflow():
        frame = loaded(uri).predict(pl.DataFrame(rows).to_pandas(), params=params)
    return list(frame.to_dict(orient="records"))


def test_a_version_answers_as_the_one_ranking_does(registered: Registered, copied: Path) -> None:
    answer = predicted(str(copied), n=4)
    assert answer == expected(registered.artifact(CANDIDATE), n=4)
    assert [one["user_id"] for one in answer] == ["u02", "u01", "new"]
    assert [len(one["item_ids"]) for one in answer] == [4, 4, 0]


def test_by_its_name_in_the_registry_it_is_found(registered: Registered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered.registry.tracking_uri)
    registered.registry.point_approved_at(registered.version)
    assert (
        predicted(registered.uri)
        == predicted("models:/recsys-als@approved")
        == expected(registered.artifact(CANDIDATE))
    )


def test_a_release_that_came_later_is_what_answers(registered: Registered, copied: Path) -> None:
    release = copied / RELEASE
    release.mkdir()
    save(registered.release, registered.family.family, release)
    assert predicted(str(copied)) == expected(registered.release)
    assert expected(registered.release) != expected(registered.artifact(CANDIDATE))


@pytest.mark.parametrize("file", [ARRAYS, MANIFEST])
def test_a_damaged_artifact_does_not_answer(copied: Path, file: str) -> None:
    content = (copied / CANDIDATE / file).read_bytes()
    (copied / CANDIDATE / file).write_bytes(content.replace(b"i0", b"j0") if file == MANIFEST else content[:-9])
    with pytest.raises(Exception, match="Train the slot again, or roll back to another version"):
        loaded(str(copied))


def test_no_file_of_a_version_is_a_pickle_and_its_code_is_the_modules_own(copied: Path) -> None:

    files = [path for path in copied.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"MLmodel", "pyfunc_code.py", ARRAYS, MANIFEST}
    assert not [path for path in files if path.suffix in {".pkl", ".pickle", ".joblib"}]
    assert not [path for path in files if path.read_bytes()[:1] == b"\x80"]  # how a pickle begins
    assert (copied / "pyfunc_code.py").read_bytes() == Path(
        recsys_assets.models.__path__[0], "pyfunc_code.py"
    ).read_bytes()


def test_what_is_asked_and_answered_is_declared(copied: Path) -> None:
    model = loaded(str(copied))
    inputs, outputs = model.metadata.get_input_schema(), model.metadata.get_output_schema()
    assert inputs.input_names() == ["user_id", "item_id", "day", "weight"]
    assert inputs.required_input_names() == ["user_id", "item_id"]
    assert outputs.input_names() == ["user_id", "item_ids", "scores"]
    assert {one.name: one.default for one in model.metadata.get_params_schema()} == {"n": 10, "as_of": ""}


# --- The command itself ---


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def served(registered: Registered, log: Path) -> Iterator[int]:
    """The port of `mlflow models serve` while it runs."""
    port = free_port()
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": registered.registry.tracking_uri,
        "PATH": f"{scripts}:{os.environ['PATH']}",
    }
    command = [scripts / "mlflow", "models", "serve", "-m", registered.uri, "--env-manager", "local", "-p", str(port)]
    with (
        log.open("w") as out,
        subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True) as server,
    ):
        try:
            wait_for(port, server, log)
            yield port
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        with suppress(OSError):
            ask(port, "GET", "/ping")
            return
        time.sleep(0.1)
    pytest.fail(log.read_text())


def ask(port: int, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    """Status and text of an answer."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_mlflow_models_serve_answers_and_refuses(registered: Registered, tmp_path: Path) -> None:
    with served(registered, tmp_path / "log") as port:
        status, text = ask(port, "POST", "/invocations", {"dataframe_records": ASKED, "params": {"n": 4}})
        assert (status, json.loads(text)) == (200, {"predictions": expected(registered.artifact(CANDIDATE), n=4)})
        wrong = {"dataframe_records": [{"user_id": "u", "item_id": "i", "day": "soon"}]}
        status, text = ask(port, "POST", "/invocations", wrong)
        assert status == 400
        assert json.loads(text)["message"].endswith("day: 'soon' is no day; write it as YYYY-MM-DD, or leave it out")
