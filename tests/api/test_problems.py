"""Whatever is asked wrongly is answered by a problem document, and whoever has no key by nothing else."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from recsys_assets.api.keys import ApiKeys, is_loopback
from resources.settings import SettingsError

KEY = "a-key-of-the-shop-0123"


def is_problem(answer: requests.Response, status: int) -> bool:
    told = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["type"].startswith("urn:recsys:problem:")
    assert {"title", "detail"} <= set(told)
    return bool(answer.status_code == told["status"] == status)


def test_an_address_that_there_is_not_is_a_problem(api: Any) -> None:
    assert is_problem(api.get("/v2/users"), 404)
    assert is_problem(api.get("/v1/users/u01/recommendations/"), 404)


def test_a_method_that_an_address_does_not_take_is_a_problem_that_names_those_it_takes(api: Any) -> None:
    answer = api.session.delete(f"{api.url}/v1/events", timeout=9)
    assert is_problem(answer, 405)
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"history": [', b"[" * 100_000, b'{"a":' * 50_000, b"NaN", b""])
def test_a_body_that_is_no_json_is_a_problem(api: Any, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = api.session.post(f"{api.url}/v1/recommendations", data=body, headers=headers, timeout=9)
    assert answer.status_code in {400, 422}
    assert is_problem(answer, answer.status_code)


def test_half_a_character_is_a_problem(api: Any) -> None:
    body = b'{"user_id": "\\ud800"}'
    answer = api.session.post(
        f"{api.url}/v1/recommendations", data=body, headers={"content-type": "application/json"}, timeout=9
    )
    assert is_problem(answer, 422)


def test_a_problem_never_repeats_what_was_sent(api: Any) -> None:
    answer = api.post("/v1/recommendations", {"user_id": ["secret-1"], "history": "secret-2", "secret" * 50: 1})
    assert is_problem(answer, 422)
    assert "secret-1" not in answer.text
    assert "secret-2" not in answer.text
    assert len(answer.content) < 2_000


def test_a_body_that_is_too_large_is_refused_by_its_announced_length(api: Any) -> None:
    assert is_problem(api.post("/v1/recommendations", {"user_id": "x" * 3_000_000}), 413)


def test_a_body_that_is_too_large_is_refused_as_it_streams_in(api: Any) -> None:
    def endless() -> Iterator[bytes]:
        yield b'{"user_id": "'
        for _ in range(48):
            yield b"x" * 65_536

    answer = api.session.post(
        f"{api.url}/v1/events", data=endless(), headers={"content-type": "application/json"}, timeout=9
    )
    assert is_problem(answer, 413)


def test_what_goes_wrong_inside_is_a_problem_that_tells_nothing_of_it(api: Any, monkeypatch: Any) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr(api.services.overlays, "tell", broken)
    event = {"event_id": "e", "user_id": "u", "item_id": "i", "event_type": "view"}
    answer = api.post("/v1/events", {"events": [{**event, "occurred_at": api.clock.now.isoformat()}]})
    assert is_problem(answer, 500)
    assert "1234" not in answer.text


def test_a_request_that_breaks_off_hurts_nobody(api: Any) -> None:
    address = urlsplit(api.url)
    for _ in range(5):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
    assert api.items("u01")


@pytest.mark.parametrize("path", ["/v1/users/u01/recommendations", "/openapi.json", "/metrics", "/nowhere"])
def test_without_a_key_there_is_nothing_to_see(serve: Any, valkey: Any, path: str) -> None:
    with serve(ApiKeys([KEY])) as api:
        for headers in ({}, {"x-api-key": "wrong"}, {"authorization": "Bearer wrong"}, {"authorization": "Basic !"}):
            answer = api.session.get(api.url + path, headers=headers, timeout=9)
            assert is_problem(answer, 401)
            assert "Basic" in answer.headers["www-authenticate"]
    assert valkey.ping()


def test_a_key_opens_as_header_bearer_token_or_password(serve: Any, valkey: Any) -> None:
    with serve(ApiKeys(["another-key-0123456789", KEY])) as api:
        for options in (
            {"headers": {"x-api-key": KEY}},
            {"headers": {"authorization": f"Bearer {KEY}"}},
            {"auth": ("", KEY)},
        ):
            assert api.session.get(f"{api.url}/openapi.json", timeout=9, **options).status_code == 200
        assert api.get("/health/live").status_code == 200
        assert api.get("/health/ready").status_code in {200, 503}
    assert valkey.ping()


def test_keys_come_from_the_environment_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"# of the app\n{KEY}\n\nthe-second-key-012345\n", encoding="utf-8")
    keys = ApiKeys.from_env(
        {"RECSYS_API_KEYS": "first-key-0123456789, ", "RECSYS_API_KEYS_FILE": str(tmp_path / "keys")}
    )
    assert all(keys.allows(key) for key in (KEY, "first-key-0123456789", "the-second-key-012345"))
    assert not keys.allows("# of the app")
    assert not keys.allows("")
    assert ApiKeys.from_env({}).is_open
    assert KEY not in repr(vars(keys))


def test_a_short_key_and_an_unreadable_file_are_refused_without_showing_them(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="fewer than 16 characters") as error:
        ApiKeys.from_env({"RECSYS_API_KEYS": "hunter2"})
    assert "hunter2" not in str(error.value)
    with pytest.raises(SettingsError, match="cannot be read"):
        ApiKeys.from_env({"RECSYS_API_KEYS_FILE": str(tmp_path / "nowhere")})


def test_only_the_machines_own_addresses_are_its_own() -> None:
    assert [host for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9") if not is_loopback(host)] == []
    assert [host for host in ("0.0.0.0", "::", "10.0.0.1", "example.com", "") if is_loopback(host)] == []  # noqa: S104


def test_openapi_describes_every_endpoint_with_examples_and_problems(api: Any) -> None:
    described = api.get("/openapi.json").json()
    assert {path for path in described["paths"] if path.startswith("/v1")} == {
        "/v1/users/{user_id}/recommendations",
        "/v1/recommendations",
        "/v1/items/{item_id}/similar",
        "/v1/events",
    }
    assert "HTTPValidationError" not in json.dumps(described)
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert operation["summary"]
            assert not path.startswith("/v1") or "application/problem+json" in operation["responses"]["422"]["content"]
