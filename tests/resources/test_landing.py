"""The landing: a folder and an S3 prefix list and read the same, and an unreadable one is not an empty one."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from resources.landing import Landing, LandingError, LocalLanding
from resources.settings import Settings
from resources.wiring import build_landing

FILES = {
    "events/2026-01-02.csv": b"second",
    "events/2026-01-01.csv": b"first day",
    "2026-01-01.csv": b"",
    "a/b/c/d.parquet": bytes(range(256)),
    "\u00e9v\u00e9nements/1 & 2+3.csv": "\u00e9t\u00e9".encode(),
}
UNFINISHED = (".2026-01-03.csv", "events/.2026-01-03.csv.part", ".tmp/2026-01-03.csv", "a/.b/2026-01-03.csv")
Put = Callable[[str, bytes], object]


def landing_at(place: str) -> Landing:
    return build_landing(Settings(home=Path(), lake="", landing=place))


def paths(landing: Landing) -> list[str]:
    return [file.path for file in landing.files()]


@contextmanager
def somebody_without_rights() -> Iterator[None]:
    """Root may read everything, so root is nobody for a moment."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Landing, Put]:
    def put(path: str, content: bytes) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)

    return landing_at(str(tmp_path)), put


@pytest.fixture
def prefix(s3_bucket: Any) -> tuple[Landing, Put]:
    def put(path: str, content: bytes) -> None:
        s3_bucket.put_object(Key=f"shop/landing/{path}", Body=content)

    return landing_at(f"s3://{s3_bucket.name}/shop/landing"), put


@pytest.fixture(params=["folder", "prefix"])
def place(request: pytest.FixtureRequest) -> tuple[Landing, Put]:
    found: tuple[Landing, Put] = request.getfixturevalue(request.param)
    return found


def test_every_file_is_listed_in_order_and_read(place: tuple[Landing, Put]) -> None:
    landing, put = place
    for path, content in FILES.items():
        put(path, content)
    listed = landing.files()
    assert {file.path: file.size_bytes for file in listed} == {path: len(FILES[path]) for path in FILES}
    assert paths(landing) == sorted(FILES)
    assert {file.path: landing.read(file.path) for file in listed} == FILES


def test_what_begins_with_a_dot_is_still_being_written(place: tuple[Landing, Put]) -> None:
    landing, put = place
    for path in (*UNFINISHED, "events/2026-01-03.csv"):
        put(path, b"x")
    assert paths(landing) == ["events/2026-01-03.csv"]


def test_an_empty_landing_is_empty(folder: tuple[Landing, Put], prefix: tuple[Landing, Put]) -> None:
    assert folder[0].files() == prefix[0].files() == []


def test_the_stamp_changes_with_the_content_and_only_of_that_file(place: tuple[Landing, Put]) -> None:
    landing, put = place
    put("a.csv", b"old")
    put("b.csv", b"old")
    before = {file.path: file.stamp for file in landing.files()}
    assert {file.path: file.stamp for file in landing.files()} == before
    put("a.csv", b"new")
    after = {file.path: file.stamp for file in landing.files()}
    assert after["a.csv"] != before["a.csv"]
    assert after["b.csv"] == before["b.csv"]


def test_a_file_that_is_gone_is_an_error_that_names_it(place: tuple[Landing, Put]) -> None:
    landing, put = place
    put("a.csv", b"x")
    with pytest.raises(LandingError, match=r"gone/2026-01-01\.csv: cannot be read"):
        landing.read("gone/2026-01-01.csv")


def test_a_missing_folder_is_an_error_and_not_empty(tmp_path: Path) -> None:
    with pytest.raises(LandingError, match="no such folder; set RECSYS_LANDING"):
        landing_at(str(tmp_path / "landing")).files()


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "landing").touch()
    with pytest.raises(LandingError, match="no such folder"):
        landing_at(str(tmp_path / "landing")).files()


def test_what_may_not_be_listed_or_read_is_an_error_and_not_empty(open_folder: Path) -> None:
    (open_folder / "a.csv").touch(mode=0o000)
    (open_folder / "events").mkdir(mode=0o000)
    with somebody_without_rights():
        with pytest.raises(LandingError, match=r"a\.csv: cannot be read .*check its permissions"):
            LocalLanding(root=str(open_folder)).read("a.csv")
        for root in (open_folder, open_folder / "events", open_folder / "events" / "inside"):
            with pytest.raises(LandingError, match=r"cannot be listed .*Permission denied"):
                LocalLanding(root=str(root)).files()


def test_a_folder_inside_itself_is_an_error_and_not_endless(tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to(tmp_path)
    with pytest.raises(LandingError, match=r"cannot be listed .*symbolic links"):
        LocalLanding(root=str(tmp_path)).files()


def test_a_folder_in_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "2026-01-01.csv").mkdir()
    landing = LocalLanding(root=str(tmp_path))
    assert landing.files() == []
    with pytest.raises(LandingError, match=r"2026-01-01\.csv: cannot be read"):
        landing.read("2026-01-01.csv")


def test_a_link_to_a_file_is_a_file_and_a_broken_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"content")
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "a.csv").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "landing" / "b.csv").symlink_to(tmp_path / "nowhere")
    landing = LocalLanding(root=str(tmp_path / "landing"))
    assert [(file.path, file.size_bytes) for file in landing.files()] == [("a.csv", 7)]


def test_more_keys_than_one_page_holds_are_all_listed(s3_bucket: Any) -> None:
    names = [f"{number:04}.csv" for number in range(1_003)]
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]  # the server's own store: through the wire it takes seconds
    for name in names:
        backend.put_object(s3_bucket.name, name, b"")
    assert paths(landing_at(f"s3://{s3_bucket.name}")) == names


def test_only_the_prefix_is_seen_and_not_what_merely_begins_like_it(s3_bucket: Any) -> None:
    for key in ("landing/a.csv", "landing-old/b.csv", "c.csv"):
        s3_bucket.put_object(Key=key, Body=b"x")
    assert paths(landing_at(f"s3://{s3_bucket.name}/landing")) == ["a.csv"]


def test_the_folders_that_the_s3_console_makes_are_no_files(s3_bucket: Any) -> None:
    for key in ("landing/", "landing/events/", "landing/events/a.csv"):
        s3_bucket.put_object(Key=key, Body=b"")
    assert paths(landing_at(f"s3://{s3_bucket.name}/landing")) == ["events/a.csv"]


def test_a_missing_bucket_is_an_error_and_not_empty(s3_bucket: Any) -> None:
    with pytest.raises(LandingError, match=f"s3://{s3_bucket.name}-x/shop/: cannot be listed .*NoSuchBucket"):
        landing_at(f"s3://{s3_bucket.name}-x/shop").files()


def test_a_bucket_that_cannot_be_reached_is_an_error_and_not_empty(
    s3_bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(LandingError, match="cannot be listed"):
        landing_at(f"s3://{s3_bucket.name}").files()


def test_a_file_that_is_put_is_read_as_it_was_and_replaces_the_one_before(place: tuple[Landing, Put]) -> None:
    landing, put = place
    for content in (b"first", bytes(range(256)) * 1_000):
        landing.write("api/2026-01-01.events.jsonl.gz", content)
        assert paths(landing) == ["api/2026-01-01.events.jsonl.gz"]
        assert landing.read("api/2026-01-01.events.jsonl.gz") == content
    put("api/2026-01-01.events.jsonl.gz", b"the shop's own")
    assert landing.read("api/2026-01-01.events.jsonl.gz") == b"the shop's own"


def test_a_folder_that_takes_no_files_says_so(tmp_path: Path) -> None:
    (tmp_path / "api").write_text("no folder")
    with pytest.raises(LandingError, match=r"api/1\.gz: cannot be written \(.+\); check its permissions"):
        landing_at(str(tmp_path)).write("api/1.gz", b"")


def test_a_bucket_that_is_not_there_takes_no_files(s3_bucket: Any) -> None:
    with pytest.raises(LandingError, match=r"s3://nowhere-at-all/x/api/1\.gz: cannot be written"):
        landing_at("s3://nowhere-at-all/x").write("api/1.gz", b"")
    assert s3_bucket.name
