"""A small shop on disk, and a place of Spark jobs on this machine: the same program, run by `spark-submit`."""

import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import PipesSubprocessClient, PipesTempFileMessageReader
from dagster._core.errors import DagsterPipesExecutionError

from recsys_assets.columns import SOURCE_TABLES
from recsys_assets.platform import Platform
from recsys_assets.spark_jobs.bundle import write_package
from resources.spark_jobs import JobOutcome, SparkJobs

EVENTS = """\
event_type,user_id,item_id,occurred_at,quantity,unit_price
purchase,ann,dune,2026-01-0{day} 09:00,1,10
view,ann,emma,2026-01-0{day} 09:05,1,10
purchase,bob,emma,2026-01-0{day} 10:00,2,8.5
refund,bob,emma,2026-01-0{day} 11:00,1,8.5
purchase,,emma,2026-01-0{day} 12:00,1,8.5
purchase,cleo,walden,yesterday,1,5
"""
ITEMS = """\
item_id,title,creator,category,released_on,withdrawn_on,is_adult
dune,Dune,Herbert,science fiction,2025-01-01,,false
emma,Emma,Austen,classics,2025-01-01,,false
"""
FAST = {
    "spark.ui.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
}
"""The queries are too short to be optimized and compiled."""


class KeptMessages(PipesTempFileMessageReader):
    """Keeps what came also when the program fails."""

    @contextmanager
    def read_messages(self, handler: Any) -> Iterator[Any]:
        self.handler = handler
        with super().read_messages(handler) as params:
            yield params


class LocalSubmit(SparkJobs):
    """`spark-submit` on this machine.

    Attributes:
        script: The entry script.
        package: The unpacked package, which is found before what is installed.
    """

    script: str
    package: str

    def run(self, context: dg.AssetExecutionContext, title: str, extras: Mapping[str, Any]) -> JobOutcome:
        reader, failure = KeptMessages(), None
        confs = [part for name, value in FAST.items() for part in ("--conf", f"{name}={value}")]
        submit = str(Path(sys.executable).with_name("spark-submit"))
        env = {"PYSPARK_PYTHON": sys.executable, "PYTHONPATH": self.package}
        client = PipesSubprocessClient(message_reader=reader, env=env)
        command = [submit, "--master", "local[2]", *confs, self.script]
        try:
            client.run(context=context.op_execution_context, extras=dict(extras), command=command)
        except DagsterPipesExecutionError as error:
            failure = str(error)
        results, messages = reader.handler.get_reported_results(), reader.handler.get_custom_messages()
        return JobOutcome(results, messages, failure, f"spark-submit for {title}", {"computed_by": "spark-submit"})


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this code's state in a bundle, as `make spark-bundle` makes it, without the libraries."""
    output = tmp_path_factory.mktemp("bundle")
    return write_package(Path(), output, output / "environments" / "libraries.tar.gz")


@pytest.fixture(scope="session")
def unpack(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Unpacks the package of the bundle into a new folder, as a cluster does."""

    def run() -> Path:
        folder = tmp_path_factory.mktemp("package")
        with tarfile.open(bundle / "package.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        return folder

    return run


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `landing` holds three days; two rows of each are wrong."""
    folder = tmp_path_factory.mktemp("shop")
    for table in SOURCE_TABLES:
        (folder / "landing" / table).mkdir(parents=True)
    for day in (1, 2, 3):
        events = folder / "landing" / "events" / f"2026-01-0{day}.csv"
        events.write_text(EVENTS.format(day=day), encoding="utf-8")
    (folder / "landing" / "items" / "2026-01-01.csv").write_text(ITEMS, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def shop_platform(tiny_platform: Platform) -> Platform:
    """The configuration of the shop, a replay of its three days."""
    content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return Platform.model_validate(content | {"last_day": "2026-01-03"})


@pytest.fixture(scope="session")
def local_submit(bundle: Path) -> Callable[..., LocalSubmit]:
    """A place of jobs: with these places to read and write, and this unpacked package."""

    def build(environment: dict[str, str], package: Path) -> LocalSubmit:
        groups = ["sources", "features", "models", "recommendations"]
        return LocalSubmit(
            groups=groups, environment=environment, script=str(bundle / "entry.py"), package=str(package)
        )

    return build
