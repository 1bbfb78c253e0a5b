"""The parts of `make stack`: how compose.yaml is read, and which processes are recognised."""

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.stack import compose
from deploy.stack.compose import ComposeError, Places, read_document, read_services, translator
from deploy.stack.layout import PORTS, PortError, chosen_ports
from deploy.stack.leftovers import Begun, Started, begun, end, members, write_down, written_down
from deploy.stack.programs import POSTGRES_USER, MissingProgramError, make_cluster, postgres_programs
from deploy.stack.shop import Shop, ShopError
from deploy.stack.supervisor import inherited, variables_of
from recsys_assets.platform import load_platform

HERE = Places(
    {name: port + 1 for name, port in PORTS.items()}, {"/run/secrets": Path("/s"), "/var/lib/recsys": Path("/h")}
)


def test_services_are_those_of_the_file_without_what_a_folder_stands_for() -> None:
    services = read_services(read_document({}), HERE)
    assert set(services) == {"postgres", "redis", "mlflow", "code", "webserver", "daemon", "api"}
    assert services["daemon"].needs == ("postgres", "redis", "mlflow", "code")
    assert (services["postgres"].stop_signal, services["postgres"].stop_seconds) == ("SIGINT", 60)


def test_commands_variables_and_checks_are_the_files_own_at_other_places() -> None:
    services = read_services(read_document({"API_WORKERS": "3"}), HERE)
    api, code, daemon = services["api"], services["code"], services["daemon"]
    assert api.command[2:] == ("recsys", "serve", "--host", "127.0.0.1", "--port", "18001", "--workers", "3")
    assert Path(api.command[1]) == compose.DEPLOY / "with_secrets.py"
    assert api.environment["RECSYS_REDIS_URL_FILE"] == "/s/redis_url"
    assert api.environment["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:15001"
    assert "http://127.0.0.1:18001/health/live" in api.check[-1]
    assert code.check == ("dagster", "api", "grpc-health-check", "--host", "127.0.0.1", "--port", "14001")
    assert daemon.environment["DAGSTER_PG_PORT"] == "15433"
    assert (daemon.environment["DAGSTER_PG_HOST"], daemon.environment["DAGSTER_HOME"]) == ("127.0.0.1", "/h/dagster")


def test_a_service_without_a_health_check_is_refused() -> None:
    document = {"services": {"web": {"image": "web:1.0"}}}
    with pytest.raises(ComposeError, match=r"service web of .* has no healthcheck"):
        read_services(document, HERE)


@pytest.mark.parametrize(
    ("text", "variables", "filled"),
    [
        ("${A:-x}", {}, "x"),
        ("${A:-x}", {"A": ""}, "x"),
        ("${A-x}", {"A": ""}, ""),
        ("${A:-}", {}, ""),
        ("a${A}b", {"A": "-"}, "a-b"),
        ("$${A}", {"A": "x"}, "${A}"),
    ],
)
def test_variables_are_filled_in_as_compose_does_it(text: str, variables: dict[str, str], filled: str) -> None:
    assert compose._filled({"one": [text]}, variables) == {"one": [filled]}


@given(st.text("abcdefghijklmnopqrstuvwxyz-_/ ", max_size=40))
def test_what_names_no_place_is_left_as_it_is(text: str) -> None:
    assert translator({"api": 8000}, Places({"api": 1}, {}))(text) == text


def test_numbers_that_only_contain_a_port_are_none() -> None:
    translate = translator({"api": 8000}, Places({"api": 1}, {}))
    assert translate("80001 18000 8000.5 x8000 --port=8000 api:8000 my-api:8000") == (
        "80001 18000 8000.5 x8000 --port=1 127.0.0.1:1 my-api:1"
    )


def test_services_do_not_get_what_would_contradict_the_file() -> None:
    given = {
        "RECSYS_HOME": "x",
        "DAGSTER_HOME": "x",
        "MLFLOW_TRACKING_URI": "x",
        "PGHOST": "x",
        "LANG": "C",
        "PATH": "/b",
    }
    passed = inherited(given)
    assert set(passed) == {"LANG", "PATH", "PYTHONUNBUFFERED"}
    assert passed["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/b"]


def test_keys_of_a_bucket_of_ones_own_are_taken_before_those_of_the_files() -> None:
    api = read_services(read_document({}), HERE)["api"]
    given = {"AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "mine"}
    assert "AWS_ACCESS_KEY_ID_FILE" not in variables_of(api, given)
    assert "AWS_ACCESS_KEY_ID_FILE" in variables_of(api, {})


# --- Ports ---


def test_a_port_that_is_taken_is_named_with_the_option_that_gives_another() -> None:
    with subprocess.Popen([sys.executable, "-c", LISTENS], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        port = other.stdout.readline().strip()
        with pytest.raises(PortError, match=rf"port {port}, for api, cannot be used .* --port api=PORT"):
            chosen_ports([*ANYWHERE, f"api={port}"])
        other.kill()


LISTENS = """
import socket, time
server = socket.create_server(("127.0.0.1", 0)); print(server.getsockname()[1], flush=True); time.sleep(60)
"""
ANYWHERE = [f"{name}=0" for name in PORTS]


def test_port_0_is_any_that_is_free() -> None:
    assert all(port >= 1024 for port in chosen_ports(ANYWHERE).values())


@pytest.mark.parametrize("asked", ["api", "nobody=1", "api=65536", "api=-1", "api=x"])
def test_a_port_that_is_none_is_refused(asked: str) -> None:
    with pytest.raises(PortError, match=f"--port {asked}: write it like api=8000"):
        chosen_ports([asked])


# --- Processes that are left over ---


@pytest.fixture
def family() -> Callable[[str], "subprocess.Popen[bytes]"]:
    """Starts a process that leads a session."""

    def start(script: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True)

    return start


def test_everything_of_a_session_is_ended_also_when_its_leader_is_gone(family: Callable[..., subprocess.Popen]) -> None:
    process = family("sleep 60 & sleep 60 & wait")
    leader = begun(process.pid)
    assert leader is not None
    while len(members(leader)) < 3:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert len(members(leader)) == 2
    end(Started("any", leader, "SIGTERM", 5))
    assert members(leader) == []


def test_what_does_not_listen_is_killed(family: Callable[..., subprocess.Popen]) -> None:
    process = family("trap '' TERM; while true; do sleep 0.1; done")
    leader = begun(process.pid)
    assert leader is not None
    time.sleep(0.2)
    end(Started("any", leader, "SIGTERM", 0.3))
    assert process.wait() == -signal.SIGKILL


def test_a_process_of_somebody_else_with_the_same_number_is_left_alone(family: Callable[..., subprocess.Popen]) -> None:
    process = family("sleep 60")
    now = begun(process.pid)
    assert now is not None
    before = replace(now, moment=now.moment - 1)
    end(Started("any", before, "SIGKILL", 1))
    assert members(before) == []
    assert process.poll() is None
    process.kill()
    process.wait()


def test_what_is_written_down_is_read_again(tmp_path: Path) -> None:
    services = [Started("a", Begun(10, 20), "SIGINT", 60.0), Started("b", Begun(30, 40), "SIGTERM", 10.0)]
    write_down(tmp_path / "file", services)
    assert written_down(tmp_path / "file") == services
    assert written_down(tmp_path / "none") == []


# --- Programs ---


def test_where_postgresql_is_missing_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        MissingProgramError, match="PostgreSQL is not installed; on Debian: `apt-get install postgresql`"
    ):
        postgres_programs(tmp_path)


def test_of_several_postgresqls_the_newest_is_taken(tmp_path: Path) -> None:
    for version in ("9.6", "15", "17"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "initdb").touch()
    assert postgres_programs(tmp_path) == tmp_path / "17" / "bin"


def is_root_beside_debians_user() -> bool:
    return os.getuid() == 0 and any(user.pw_name == POSTGRES_USER for user in pwd.getpwall())


@pytest.mark.skipif(
    not is_root_beside_debians_user(),
    reason="only root runs PostgreSQL as somebody else, who comes with Debian's package `postgresql`",
)
def test_a_folder_that_postgresqls_user_cannot_enter_is_refused_with_what_to_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(MissingProgramError, match=r"user postgres cannot enter .* with --folder"):
        make_cluster(tmp_path / "postgres", tmp_path, tmp_path)


# --- The simulated shop ---


def test_the_simulated_shop_lands_its_history_and_then_a_day_whenever_it_is_told(tmp_path: Path) -> None:
    shop = Shop.of({}, tmp_path)
    shop.open()
    platform = load_platform(shop.config)
    yesterday = datetime.now(tz=UTC).astimezone(platform.zone).date() - timedelta(days=1)
    landed = {path.name[:10] for path in Path(shop.landing).rglob("*.gz")}
    assert max(landed) == str(yesterday - timedelta(days=1))
    shop.open()  # a second start changes nothing
    assert shop.land_next() == yesterday
    with pytest.raises(ShopError, match="is not over yet"):
        shop.land_next()


def test_a_shop_of_ones_own_is_taken_as_it_is_and_lands_nothing_by_command(tmp_path: Path) -> None:
    (tmp_path / "recsys.yaml").touch()
    given = {"RECSYS_CONFIG": str(tmp_path / "recsys.yaml"), "RECSYS_LANDING": "s3://bucket/landing"}
    shop = Shop.of(given, tmp_path / "stack")
    shop.open()
    assert (shop.config, shop.landing) == (tmp_path / "recsys.yaml", "s3://bucket/landing")
    with pytest.raises(ShopError, match="copying its files"):
        shop.land_next()
