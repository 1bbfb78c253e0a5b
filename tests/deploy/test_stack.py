"""`make stack` from its first start to its last stop: the services of compose.yaml, run for a tiny shop.

Lake and artifacts are in a bucket, as in the containers. All of this happens to one stack, in the order of the tests.
"""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
import yaml

from deploy.stack.layout import PORTS, Layout, driver_of
from deploy.stack.leftovers import begun, members, written_down
from deploy.stack.programs import MissingProgramError, bloom_module, postgres_programs
from deploy.stack.shop import Shop
from deploy.stack.supervisor import inherited, variables_of
from recsys_assets.platform import BUNDLED_CONFIG
from recsys_assets.simulation import StoreParameters, simulate

ROOT = Path(__file__).parents[2]
HISTORY_DAYS = 10
START_SECONDS, SERVED_SECONDS = 400.0, 600.0
"""Far more than it takes: a machine on which others work as well is slow, and not broken."""
pytestmark = [pytest.mark.timeout(1800)]


@dataclass
class Stack:
    """A stack of its own, and the shop that it runs.

    Attributes:
        folder: Of the stack.
        landing: Where days land.
        coming: Holds the days that have not landed.
        environment: What it is started with.
    """

    folder: Path
    landing: Path
    coming: Path
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        anywhere = [part for name in PORTS for part in ("--port", f"{name}=0")]
        with (self.folder / "up.log").open("ab") as log:
            command = [sys.executable, "-m", "deploy.stack", "up", "--folder", str(self.folder), *anywhere]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        until(self.is_ready, START_SECONDS, self.told)

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.told()
        driver = driver_of(self.folder)  # not the one that was killed
        if driver is None or driver.pid != self.process.pid:
            return False
        return bool(json.loads((self.folder / "state.json").read_text(encoding="utf-8"))["is_ready"])

    def told(self) -> str:
        return (self.folder / "up.log").read_text(encoding="utf-8")

    def address(self, service: str) -> str:
        return f"http://127.0.0.1:{self.layout().ports[service]}"

    def layout(self) -> Layout:
        return Layout.running(self.folder, Shop.of(self.environment, self.folder))

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "deploy.stack", *words],
            cwd=ROOT,
            env={**self.environment, "RECSYS_STACK": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return self.command("run", *command)

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text(encoding="utf-8").strip()

    def land(self, *days: date) -> None:
        for path in [path for path in self.coming.rglob("*") if path.is_file()]:
            if date.fromisoformat(path.name[:10]) in days:
                target = self.landing / path.relative_to(self.coming)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)

    def lists(self, user: str = "U000001") -> dict[str, Any]:
        """What the API serves to a user; empty before anything is published."""
        answer = requests.get(
            f"{self.address('api')}/v1/users/{user}/recommendations",
            headers={"X-API-Key": self.secret("api_keys")},
            timeout=10,
        )
        assert answer.status_code in (200, 503), answer.text
        return dict(answer.json()) if answer.ok else {}

    def serves(self, day: date) -> bool:
        """Whether published lists are served, and of this day."""
        lists = self.lists()
        return lists.get("generation") is not None and lists["as_of"] == str(day)

    def why(self) -> str:
        logs = (self.folder / "logs").glob("*.log")
        return self.told() + "".join(f"\n== {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs)


def until(is_so: Callable[[], bool], seconds: float, why: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, why()
        time.sleep(0.3)


def noon_somewhere() -> str:
    """A time zone in which no day ends while a test runs."""
    offset = 12 - datetime.now(tz=UTC).hour
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"  # these names count the other way round


@pytest.fixture(scope="module")
def yesterday() -> date:
    return datetime.now(tz=UTC).date() - timedelta(days=1)


@pytest.fixture(scope="module")
def stack(s3_endpoint: str, yesterday: date) -> Iterator[Stack]:
    """A stack that has started; of its shop, no day has landed."""
    try:
        postgres_programs()
    except MissingProgramError as error:
        pytest.skip(str(error))
    folder = Path(tempfile.mkdtemp(prefix="recsys-stack-", dir="/tmp"))  # where PostgreSQL's user may pass
    folder.chmod(0o711)
    zone, first = noon_somewhere(), yesterday - timedelta(days=HISTORY_DAYS)
    content = yaml.safe_load(BUNDLED_CONFIG.read_text(encoding="utf-8"))
    del content["last_day"], content["guardrails"]
    content |= {"time_zone": zone, "first_day": first, "sensors": {"interval_seconds": 2}}
    content["training"] = {"slots": "0 0 * * *", "train_days": 30, "holdout_days": 2, "min_history_days": HISTORY_DAYS}
    content["families"] = {"popularity": {"window_days": 30, "gate": {"min_holdout_users": 5}}}
    (folder / "shop.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    shop = {"first_day": first, "days": HISTORY_DAYS + 1, "users": 120, "items": 300, "bots": 1, "time_zone": zone}
    simulate(StoreParameters(**shop), folder / "coming")
    environment = inherited(os.environ) | {
        "RECSYS_CONFIG": str(folder / "shop.yaml"),
        "RECSYS_LANDING": str(folder / "landing"),
        "RECSYS_LAKE": "s3://stack/lake",
        "RECSYS_ARTIFACTS": "s3://stack/mlflow",
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "a-key-of-our-own-bucket",
    }
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the bucket's server would tell of every request
    make_bucket = [sys.executable, str(ROOT / "deploy" / "make_bucket.py"), "stack"]
    subprocess.run(make_bucket, env=environment | {"AWS_DEFAULT_REGION": "us-east-1"}, check=True)
    started = Stack(folder, folder / "landing", folder / "coming", environment)
    try:
        started.start()
        yield started
    finally:
        started.command("down")
        if started.process is not None:
            started.process.wait(60)
        shutil.rmtree(folder)


def test_a_day_that_lands_is_served_and_nobody_gives_a_command(stack: Stack, yesterday: date) -> None:
    history = [yesterday - timedelta(days=back) for back in range(1, HISTORY_DAYS + 1)]
    stack.land(*history)  # ingest, train, judge, approve, recommend, publish
    until(lambda: stack.serves(history[0]), SERVED_SECONDS, stack.why)
    before = stack.lists()
    stack.land(yesterday)
    until(lambda: stack.serves(yesterday), SERVED_SECONDS, stack.why)
    after = stack.lists()
    assert after["generation"] != before["generation"]
    assert after["versions"] == before["versions"] == {"popularity": "1"}
    assert len(after["items"]) > 10
    assert not after["is_fallback"]


def test_lists_lie_in_redis_with_its_own_filters_and_everything_else_in_the_bucket(stack: Stack) -> None:
    told = stack.run("recsys", "generations").stdout
    assert "popularity 1" in told
    assert ("bloom" in told) == (bloom_module() is not None)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    bucket = boto3.resource("s3", endpoint_url=stack.environment["AWS_ENDPOINT_URL"], **keys).Bucket("stack")
    names = [one.key for one in bucket.objects.all()]
    bucket.meta.client.close()
    assert any(name.startswith("lake/features/interactions/_delta_log/") for name in names)
    assert any(re.fullmatch(r"mlflow/.*/release/.*\.npz|mlflow/.*/release/manifest\.json", name) for name in names)
    assert not (stack.folder / "lake").exists()


def test_commands_share_the_instance_and_leave_the_driving_to_the_daemon(stack: Stack) -> None:
    refused = stack.run("recsys", "run")
    assert refused.returncode == 1
    assert "a Dagster daemon is live" in refused.stderr
    healthy = stack.run("recsys", "doctor")
    assert healthy.returncode == 0, healthy.stdout
    assert "models: popularity version 1" in healthy.stdout  # read from the history of the daemon's runs


def test_runs_wait_in_a_queue_with_pools_and_their_history_is_in_postgresql(stack: Stack) -> None:
    asked = """
        import dagster as dg
        instance = dg.DagsterInstance.get()
        pools = instance.get_concurrency_config().pool_config
        print(type(instance.run_coordinator).__name__, type(instance.event_log_storage).__name__)
        print(type(instance.run_storage).__name__, type(instance.schedule_storage).__name__)
        print(pools.pool_granularity, pools.default_pool_limit, instance.run_monitoring_enabled)
        print(sorted({run.job_name for run in instance.get_runs() if run.is_success}))
    """
    told = stack.run("python", "-c", "\n".join(line.strip() for line in asked.splitlines()))
    assert told.stdout.splitlines()[:3] == [
        "QueuedRunCoordinator PostgresEventLogStorage",
        "PostgresRunStorage PostgresScheduleStorage",
        "PoolGranularity.RUN 1 True",
    ], told.stderr
    assert {"ingest", "train", "recommend"} <= set(re.findall(r"\w+", told.stdout.splitlines()[3]))


def test_no_secret_is_in_a_list_of_processes_in_a_log_or_in_the_ui(stack: Stack) -> None:
    hidden = ["postgres_password", "dagster_pg_password", "mlflow_pg_password", "redis_password", "api_keys"]
    secrets = {name: stack.secret(name) for name in hidden} | {"bucket": stack.environment["AWS_SECRET_ACCESS_KEY"]}
    told = {str(path): path.read_text(errors="replace") for path in (stack.folder / "logs").iterdir()}
    told["up.log"] = stack.told()
    told["compute logs"] = "".join(
        path.read_text(errors="replace") for path in (stack.folder / "home" / "dagster").rglob("*") if path.is_file()
    )
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            told[str(path)] = path.read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
    told["configuration page"] = ask_ui(stack, "{ instance { info } }")
    told["resources page"] = ask_ui(stack, RESOURCES)
    told["runs"] = ask_ui(stack, "{ runsOrError { ... on Runs { results { runConfigYaml tags { key value } } } } }")
    assert any("dagster-daemon" in text for place, text in told.items() if place.startswith("/proc/"))
    assert "run_monitoring" in told["configuration page"]
    assert "online_store" in told["resources page"]
    shown = [(name, place) for name, secret in secrets.items() for place, text in told.items() if secret in text]
    assert shown == []


RESOURCES = """{ repositoriesOrError { ... on RepositoryConnection { nodes { allTopLevelResourceDetails {
  name configuredValues { key value type }
} } } } }"""


def ask_ui(stack: Stack, query: str) -> str:
    answer = requests.post(f"{stack.address('webserver')}/graphql", json={"query": query}, timeout=30)
    assert answer.ok, answer.text
    assert "errors" not in answer.json(), answer.text
    return answer.text


def test_the_api_lets_nobody_in_without_its_key_and_mlflow_nobody_under_another_name(stack: Stack) -> None:
    refused = requests.get(f"{stack.address('api')}/v1/users/U000001/recommendations", timeout=10)
    assert refused.status_code == 401
    mlflow = f"{stack.address('mlflow')}/api/2.0/mlflow/experiments/search"
    by_name = {
        host: requests.post(mlflow, json={"max_results": 1}, headers={"Host": host}, timeout=10).status_code
        for host in (stack.address("mlflow").removeprefix("http://"), "localhost:5000", "evil.example.com")
    }
    assert list(by_name.values()) == [200, 200, 403]


def test_a_service_that_is_killed_is_started_again(stack: Stack, yesterday: date) -> None:
    layout = stack.layout()
    api = next(one for one in written_down(stack.folder / "processes.json") if one.name == "api")
    os.kill(api.leader.pid, signal.SIGKILL)
    until(lambda: "api ended by itself" in stack.told(), 30, stack.told)
    until(lambda: check_of(layout, "api").wait(60) == 0, 60, stack.why)
    until(lambda: stack.serves(yesterday), 30, stack.why)


def check_of(layout: Layout, name: str) -> "subprocess.Popen[bytes]":
    """The health check of a service, as compose.yaml has it; begun."""
    service, quiet = layout.services()[name], subprocess.DEVNULL
    return subprocess.Popen(service.check, env=variables_of(service, inherited(os.environ)), stdout=quiet, stderr=quiet)


def test_a_second_stack_in_the_same_folder_is_refused(stack: Stack) -> None:
    refused = stack.command("up")
    assert refused.returncode == 1
    assert "a stack runs in" in refused.stdout


def test_what_a_killed_stack_left_behind_is_cleared_up_and_the_next_goes_on_where_it_was(
    stack: Stack, yesterday: date
) -> None:
    before = stack.lists()
    left = [service.leader for service in written_down(stack.folder / "processes.json")]
    assert stack.process is not None
    stack.process.kill()
    stack.process.wait()
    assert all(members(leader) for leader in left)  # nobody has told them
    stack.start()
    assert "Ending 7 services that a killed stack left behind." in stack.told()
    assert not any(begun(leader.pid) == leader for leader in left)
    until(lambda: stack.serves(yesterday), 60, stack.why)
    assert stack.lists()["generation"] == before["generation"]


def test_a_stopped_stack_leaves_no_process_and_every_health_check_says_that_it_is_gone(stack: Stack) -> None:
    layout = stack.layout()
    leaders = [service.leader for service in written_down(stack.folder / "processes.json")]
    stopped = stack.command("down")
    assert stopped.returncode == 0, stopped.stdout
    assert stack.process is not None
    assert stack.process.wait(60) == 0
    assert not any(members(leader) for leader in leaders)
    asked = {name: check_of(layout, name) for name in layout.services()}
    assert [name for name, check in asked.items() if check.wait(120) == 0] == []
    assert "No stack runs in" in stack.command("down").stdout
    assert stack.run("recsys", "models").returncode == 1
