"""The whole loop of Online Retail with landing, lake and models on S3, while S3 and the network misbehave."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from faulty_proxy import Fault, FaultyProxy, at_random, no_faults
from polars.testing import assert_frame_equal

from recsys_assets.cli.installation import Installation
from recsys_assets.platform import Platform
from resources import embedded_valkey
from resources.lake import DeltaLake
from resources.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
DAILY = REPOSITORY.parent / "shared" / "data" / "online_retail" / "daily"
FIRST_DAY, LAST_DAY = "2011-11-27", "2011-12-09"
SHARE, SEED = 0.03, 20111209
"""How many of the requests meet a fault: far more than on a bad day."""
STORM = "/features/interactions/"
"""The first command meets a storm that no client outlasts, when it commits to this table."""
RUNS = 6
"""A command that failed is given again; by then it must have come to an end."""
OF_THE_RUN = {"version", "versions", "landing_fingerprint", "made_of"}
"""Columns that say how often something was tried, or what the place of the files is called."""

pytestmark = pytest.mark.skipif(not DAILY.is_dir(), reason="needs the Online Retail files in shared/data")


@dataclass(frozen=True)
class Run:
    """A `recsys run` that has ended."""

    code: int
    words: str


def write_configuration(path: Path) -> None:
    content = yaml.safe_load((REPOSITORY / "examples" / "online_retail" / "recsys.yaml").read_text(encoding="utf-8"))
    content |= {"first_day": FIRST_DAY, "last_day": LAST_DAY}
    content["training"] = {"min_history_days": 9, "holdout_days": 3}
    content["families"]["als"]["parameters"] |= {"factors": 16, "iterations": 5}
    content["families"]["als"]["gate"] = {
        "min_gain_over_popularity": -1.0,
        "min_release_overlap": 0.0,
        "min_holdout_users": 20,
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def environment(home: Path, **places: str) -> dict[str, str]:
    return {**os.environ, "RECSYS_HOME": str(home), "RECSYS_CONFIG": str(home.parent / "recsys.yaml"), **places}


def recsys_run(variables: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from recsys_assets.cli import main; main()", "run"]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process: subprocess.Popen[str]) -> Run:
    words, _ = process.communicate()
    return Run(process.returncode, words)


def rows(lake: DeltaLake) -> dict[str, pl.DataFrame]:
    """What every table of a lake holds, in an order of its own; a torn table could not be read."""
    found = {}
    for table in lake.found():
        kept = [name for name in table.schema.names() if name not in OF_THE_RUN]
        found[table.name] = lake.scan(table).select(kept).collect().unique().sort(pl.all().exclude(pl.List))
    return found


def difference(ours: pl.DataFrame, expected: pl.DataFrame) -> str:
    """In what two tables differ, if in anything; sums of floats may have been taken in another order."""
    try:
        assert_frame_equal(ours, expected, check_exact=False, rel_tol=1e-6)
    except AssertionError as error:
        return str(error)
    return ""


def lake_past_the_proxy(root: str, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, pl.DataFrame]:
    with monkeypatch.context() as undisturbed:
        undisturbed.setenv("AWS_ENDPOINT_URL", moto_url)
        return rows(DeltaLake(root=root))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    write_configuration(tmp_path / "recsys.yaml")
    yield tmp_path
    for name in ("disk", "s3"):
        embedded_valkey.stop(tmp_path / name / "valkey")


@pytest.mark.timeout(900)
def test_the_loop_on_a_disturbed_s3_ends_where_an_undisturbed_one_on_disk_ends(
    home: Path, bucket: Any, proxy: FaultyProxy, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing, root = home / "landing", f"s3://{bucket.name}"
    landing.mkdir()
    for file in sorted(DAILY.iterdir()):
        if FIRST_DAY <= file.stem <= LAST_DAY:
            (landing / file.name).symlink_to(file)
            bucket.upload_file(str(file), f"landing/{file.name}")
    on_disk = recsys_run(environment(home / "disk", RECSYS_LANDING=str(landing)))
    places = {name: f"{root}/{name}" for name in ("landing", "lake", "artifacts", "compute_logs")}
    variables = environment(home / "s3", **{f"RECSYS_{name.upper()}": place for name, place in places.items()})
    proxy.plan = lambda asked: Fault.SLOW_DOWN if asked.is_conditional and STORM in asked.path else None
    runs = [ended(recsys_run(variables | {"AWS_MAX_ATTEMPTS": "2"}))]
    assert "S3 does not answer" in runs[0].words
    lake_past_the_proxy(places["lake"], moto_url, monkeypatch)
    proxy.plan = at_random(SEED, SHARE)
    while runs[-1].code and len(runs) < RUNS:
        runs.append(ended(recsys_run(variables)))
        lake_past_the_proxy(places["lake"], moto_url, monkeypatch)  # whatever became of the command, all can be read
    proxy.plan = no_faults
    proxy.write_log(home / "requests.log")
    faults = ", ".join(f"{number} x {fault}" for fault, number in proxy.met().most_common())
    print(f"{len(proxy.log)} requests, {proxy.met().total()} faults in {len(runs)} runs: {faults}")  # noqa: T201 - for whoever runs it with -s
    assert [one.code for one in runs] == [1] * (len(runs) - 1) + [0], runs[-1].words
    assert all("failed:" in one.words or "error:" in one.words for one in runs[:-1])
    assert proxy.met().keys() == set(Fault)
    reference = ended(on_disk)
    assert reference.code == 0, reference.words
    undisturbed = rows(DeltaLake(root=str(home / "disk" / "lake")))
    disturbed = lake_past_the_proxy(places["lake"], moto_url, monkeypatch)
    assert disturbed.keys() == undisturbed.keys()
    differences = {name: difference(disturbed[name], expected) for name, expected in undisturbed.items()}
    assert {name: words for name, words in differences.items() if words} == {}
    kept = {item.key.split("/")[0] for item in bucket.objects.all()}
    assert kept == {"landing", "lake", "artifacts", "compute_logs"}
    assert not (home / "s3" / "mlflow" / "artifacts").exists()
    assert not (home / "s3" / "lake").exists()


def test_the_installation_reads_a_landing_on_s3(home: Path, bucket: Any, tiny_platform: Platform) -> None:
    bucket.put_object(Key="landing/2011-12-01.csv", Body=b"x")
    installation = Installation(Settings(home=home, lake="", landing=f"s3://{bucket.name}/landing"), tiny_platform)
    assert [file.path for file in installation.landing.files()] == ["2011-12-01.csv"]
