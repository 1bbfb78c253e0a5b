"""Online stores by URL, on real servers: password, ACL, TLS and cluster; and no message ever shows a password."""

import socket
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
import redis

from recsys_assets.serving.generations import UserList, publish, read_list, remove_user, use
from recsys_assets.serving.overlay import remember
from resources import embedded_valkey
from resources.online_store import OnlineStore, OnlineStoreError

SECRET = "s3cret-w0rd"  # noqa: S105 - of servers that live as long as a test
RIGHTS = "~recs* ~owned:* ~known:* ~popular:* ~bought:* +@read +@write +@connection +@transaction +eval -@dangerous"
"""What the README says that the platform needs."""


def serve_two_days(url: str) -> None:
    """Everything that the platform does with a store."""
    client = OnlineStore(url=url).connect()
    for day in (5, 6, 7):
        published = publish(client, date(2026, 1, day), {}, [UserList("ann", [f"day{day}"], ["emma"])], ["hit"])
    use(client, f"20260106-{published.sequence - 1}")
    remember(client, [])
    found = read_list(client, "ann")
    assert found is not None
    assert found[1] == ["day6"]
    assert remove_user(client, "ann") == 6


def message_of(url: str) -> str:
    """What is said of a URL that cannot be used, traceback included."""
    with pytest.raises(OnlineStoreError) as refused:
        OnlineStore(url=url).connect()
    return "".join(traceback.format_exception(refused.value))


def test_a_store_with_a_password_lets_in_whoever_knows_it(start_valkey: Callable[..., int]) -> None:
    port = start_valkey("--requirepass", SECRET)
    serve_two_days(f"redis://:{SECRET}@127.0.0.1:{port}/0")
    assert "does not answer (HELLO must be called with the client already authenticated" in message_of(
        f"redis://127.0.0.1:{port}"
    )
    wrong = message_of(f"redis://:{SECRET}-not@127.0.0.1:{port}")
    assert "invalid username-password pair" in wrong
    assert SECRET not in wrong


def test_a_user_with_few_rights_is_enough(start_valkey: Callable[..., int]) -> None:
    port = start_valkey()
    with redis.Redis(port=port) as admin:
        admin.execute_command("ACL", "SETUSER", "recsys", "on", f">{SECRET}", *RIGHTS.split())
        admin.execute_command("ACL", "SETUSER", "default", "off")
    serve_two_days(f"redis://recsys:{SECRET}@127.0.0.1:{port}")


def test_a_password_with_special_characters_is_percent_encoded(start_valkey: Callable[..., int]) -> None:
    port = start_valkey("--requirepass", "a/b@c#d:e?f")
    serve_two_days(f"redis://:a%2Fb%40c%23d%3Ae%3Ff@127.0.0.1:{port}")


@pytest.mark.parametrize("url", ["redis+cluster://127.0.0.1:{}", "redis://127.0.0.1:{}/0?cluster=true"])
def test_a_cluster_is_named_by_scheme_or_query(cluster_ports: list[int], url: str) -> None:
    with redis.RedisCluster("127.0.0.1", cluster_ports[0]) as client:
        client.flushall(target_nodes="primaries")
    serve_two_days(url.format(cluster_ports[1]))


def test_a_socket_is_named_by_its_path(valkey_folder: Path) -> None:
    embedded_valkey.ensure_running(valkey_folder)
    assert OnlineStore(url=f"unix://{embedded_valkey.socket_of(valkey_folder)}").connect().ping()


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:p/{SECRET}@127.0.0.1:1",
        f"redis://:{SECRET}#1@127.0.0.1:1",
        f"redis://:{SECRET}@127.0.0.1:1/0?nonsense={SECRET}",
        f"redis://:{SECRET}@127.0.0.1:1?cluster={SECRET}",
        f"redis://user:{SECRET}@[::1",
        f"http://user:{SECRET}@127.0.0.1:1",
        f"{SECRET}",
    ],
)
def test_a_url_that_is_none_is_refused_with_what_would_be_right_and_without_showing_it(url: str) -> None:
    message = message_of(url)
    assert "RECSYS_REDIS_URL is no address of an online store; write RECSYS_REDIS_URL like rediss://" in message
    assert SECRET not in message


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{SECRET}@127.0.0.1:1",
        f"rediss+cluster://user:{SECRET}@127.0.0.1:1",
        f"redis+cluster://user:{SECRET}@127.0.0.1:1/3",
        f"unix:///no/such/socket?password={SECRET}",
    ],
)
def test_a_store_that_is_not_there_is_said_to_be_so_without_showing_the_password(url: str) -> None:
    message = message_of(url)
    assert "the online store does not answer" in message
    assert SECRET not in message
    assert SECRET not in repr(OnlineStore(url=url))


# --- TLS. The server of the tests is built without it, so a TLS server of our own stands before it. ---


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for this machine, signed by itself, and its key."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    asked = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*asked.split(), "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def tls_port(start_valkey: Callable[..., int], certificate: tuple[Path, Path]) -> Iterator[int]:
    """A port behind which a store with a password speaks TLS only."""
    port = start_valkey("--requirepass", SECRET)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    listening = socket.create_server(("127.0.0.1", 0))

    def forward(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve(accepted: socket.socket) -> None:
        with (
            suppress(OSError),
            context.wrap_socket(accepted, server_side=True) as inside,
            socket.create_connection(("127.0.0.1", port)) as outside,
        ):
            back = threading.Thread(target=forward, args=(outside, inside), daemon=True)
            back.start()
            forward(inside, outside)
            back.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listening.getsockname()[1]
    listening.close()


def test_a_store_is_reached_through_tls_by_whoever_trusts_its_certificate(
    tls_port: int, certificate: tuple[Path, Path]
) -> None:
    serve_two_days(f"rediss://:{SECRET}@127.0.0.1:{tls_port}/0?ssl_ca_certs={certificate[0]}")


def test_a_store_whose_certificate_nobody_trusts_and_one_without_tls_are_refused(
    tls_port: int, start_valkey: Callable[..., int]
) -> None:
    untrusted = message_of(f"rediss://:{SECRET}@127.0.0.1:{tls_port}")
    assert "certificate verify failed" in untrusted
    assert SECRET not in untrusted
    without_tls = OnlineStore(url=f"rediss://127.0.0.1:{start_valkey()}", timeout_seconds=0.2)
    with pytest.raises(OnlineStoreError, match="does not answer"):
        without_tls.connect()


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+cluster"])
def test_a_server_that_is_silent_is_given_up_after_a_single_timeout(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://:{SECRET}@127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(OnlineStoreError, match=r"does not answer .*[Tt]imeout"):
            OnlineStore(url=url, timeout_seconds=0.3).connect()
        assert time.monotonic() - began < 1.5
