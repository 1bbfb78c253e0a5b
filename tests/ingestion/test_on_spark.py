"""Files that tasks of Spark take in: the same tables as this machine alone makes of them, or none at all."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from recsys_assets.columns import INGESTED_FILES, REJECTED_ROWS, SOURCE_TABLES, Table
from recsys_assets.ingestion import intake
from recsys_assets.ingestion.assets import build_assets
from recsys_assets.ingestion.forgotten_in_lake import remember
from recsys_assets.ingestion.raw_rows import UnreadableFileError
from recsys_assets.ingestion.reading import DayFile
from recsys_assets.platform import Platform, load_platform
from resources.engine import Engine, PolarsEngine, SparkEngine
from resources.lake import Days, DeltaLake
from resources.landing import LandedFile, Landing, LandingError, LocalLanding
from resources.settings import Settings
from resources.wiring import build_landing

REPOSITORY = Path(__file__).resolve().parents[2]
DAILY = REPOSITORY.parent / "shared" / "data" / "online_retail" / "daily"
DAYS = (date(2026, 1, 5), date(2026, 1, 7))
TABLES = (*SOURCE_TABLES.values(), REJECTED_ROWS, INGESTED_FILES)
GOOD = "u1,b1,2026-01-{day} 10:00,1,2.5,yes\nu2,b2,2026-01-{day} 11:00,2,,no\n"
BAD = (
    "u1,b1,2026-01-{day} 10:00,1,2.5,yes\n"  # the same once more
    ",b1,2026-01-{day} 10:00,1,1,yes\n"
    "u3,b3,2026-01-01 10:00,1,1,yes\n"  # another day
    "u4,b4,never,1,1,no\n"
    "gone,b5,2026-01-{day} 12:00,1,1,no\n"
    "u5,b5,2026-01-{day} 12:00,1,1,no,too,many\n"
)


@dataclass(frozen=True)
class Taken:
    """What stands in a lake after files were taken in, and what was said of it."""

    tables: dict[str, pl.DataFrame]
    said: dict[str, Any]


def take_in(
    platform: Platform, landing: Landing, lake: DeltaLake, engine: Engine, days: Days = DAYS, names: Sequence[str] = ()
) -> Taken:
    """Run the asset, for all of its tables or some of them."""
    ends = {f"dagster/asset_partition_range_{end}": str(day) for end, day in zip(("start", "end"), days, strict=True)}
    run = dg.materialize(
        build_assets(platform),
        resources={"lake": lake, "landing": landing, "engine": engine},
        tags=ends,
        selection=[dg.AssetKey(SOURCE_TABLES[name].key) for name in names] or None,
    )
    said = {
        (event.asset_key.to_user_string(), name): getattr(value, "value", value)
        for event in run.asset_materializations_for_node("sources")
        for name, value in event.metadata.items()
        if name != "dagster/uri"
    }
    return Taken({table.name: rows_of(lake, table) for table in TABLES}, said)


def rows_of(lake: DeltaLake, table: Table) -> pl.DataFrame:
    return lake.scan(table).collect().sort(table.schema.names())


def assert_same(found: Taken, expected: Taken) -> None:
    for name, rows in expected.tables.items():
        assert found.tables[name].equals(rows), name
    assert found.said == expected.said


@pytest.fixture(scope="module")
def csv_platform(shop: Any) -> Platform:
    platform: Platform = shop.platform("csv")
    return platform


@pytest.fixture
def landing(tmp_path: Path) -> LocalLanding:
    """Three days: good rows, bad ones, a file without rows, and one that is compressed."""
    folder = tmp_path / "landing"
    folder.mkdir()
    header = "user,item,at,n,price,flag\n"
    texts = {f"2026-01-0{day}.csv": header + (GOOD + BAD).format(day=f"0{day}") for day in (5, 6)}
    for name, text in {**texts, "2026-01-06-more.csv": header}.items():
        (folder / name).write_text(text)
    (folder / "2026-01-07.csv.gz").write_bytes(gzip.compress((header + GOOD.format(day="07")).encode()))
    return LocalLanding(root=str(folder))


@pytest.fixture
def new_lake(tmp_path: Path) -> Callable[[str], DeltaLake]:
    """Lakes in which somebody was forgotten."""

    def build(name: str) -> DeltaLake:
        lake = DeltaLake(root=str(tmp_path / name))
        remember("gone", DAYS[1], lake)
        return lake

    return build


def test_accepted_and_rejected_rows_counts_and_what_is_said_are_the_same_also_a_second_time(
    csv_platform: Platform,
    landing: LocalLanding,
    new_lake: Callable[[str], DeltaLake],
    spark_engine: SparkEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake, "READ_AT_ONCE_BYTES", 1)  # so that each day is a portion of its own
    expected = take_in(csv_platform, landing, new_lake("polars"), PolarsEngine())
    lake = new_lake("spark")
    assert_same(take_in(csv_platform, landing, lake, spark_engine), expected)
    reasons = set(expected.tables[REJECTED_ROWS.name]["reason"])
    assert {"duplicate", "missing_user_id", "wrong_day", "bad_occurred_at", "forgotten", "too_many_fields"} <= reasons
    again = take_in(csv_platform, landing, lake, spark_engine)
    assert again.tables[REJECTED_ROWS.name].equals(expected.tables[REJECTED_ROWS.name])
    events = SOURCE_TABLES["events"]
    assert again.tables[events.name].equals(expected.tables[events.name])
    assert expected.tables[events.name].height == 6


def test_what_was_rejected_for_other_tables_stays_when_some_are_taken_in_again(
    csv_platform: Platform, landing: LocalLanding, new_lake: Callable[[str], DeltaLake], spark_engine: SparkEngine
) -> None:
    lake = new_lake("lake")
    before = take_in(csv_platform, landing, lake, PolarsEngine()).tables  # whose files hold rejected rows of all tables
    Path(landing.root, "2026-01-05.csv").write_text("user,item,at,n,price,flag\n")
    after = take_in(csv_platform, landing, lake, spark_engine, names=["events"]).tables
    others = pl.col("table") != "events"
    for table in (REJECTED_ROWS, INGESTED_FILES):
        assert after[table.name].filter(others).equals(before[table.name].filter(others))
    rejected = [
        tables[REJECTED_ROWS.name].filter(~others)["ds"].unique().sort().to_list() for tables in (before, after)
    ]
    assert rejected == [[date(2026, 1, 5), date(2026, 1, 6)], [date(2026, 1, 6)]]


def test_a_file_that_is_unreadable_leaves_the_lake_as_it_was_with_the_same_message(
    csv_platform: Platform, landing: LocalLanding, new_lake: Callable[[str], DeltaLake], spark_engine: SparkEngine
) -> None:
    lake = new_lake("lake")
    before = take_in(csv_platform, landing, lake, spark_engine)
    Path(landing.root, "2026-01-05.csv").write_text("user,item,at,n,price,flag\n")
    Path(landing.root, "2026-01-06.csv.gz").write_bytes(b"\x1f\x8bcut")
    versions = [lake.version(table.name) for table in TABLES]
    told = []
    for engine in (PolarsEngine(), spark_engine):
        with pytest.raises(UnreadableFileError, match=r"^2026-01-06\.csv\.gz: is no complete gzip file") as error:
            take_in(csv_platform, landing, lake, engine)
        told.append(str(error.value))
    assert told[0] == told[1]
    assert [lake.version(table.name) for table in TABLES] == versions
    assert rows_of(lake, SOURCE_TABLES["events"]).equals(before.tables["sources/events"])


class WithOneGone(LocalLanding):
    """A landing from which a file has vanished since it was listed."""

    def files(self) -> list[LandedFile]:
        return [*super().files(), LandedFile("2026-01-07-gone.csv", 1, "1")]


def test_a_file_that_cannot_be_fetched_is_named_and_nothing_is_written(
    csv_platform: Platform, landing: LocalLanding, new_lake: Callable[[str], DeltaLake], spark_engine: SparkEngine
) -> None:
    lake = new_lake("lake")
    with pytest.raises(LandingError, match=r"^2026-01-07-gone\.csv: cannot be read"):
        take_in(csv_platform, WithOneGone(root=landing.root), lake, spark_engine)
    assert [lake.version(table.name) for table in TABLES] == [-1] * len(TABLES)


@given(st.data())
@settings(max_examples=3, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_whatever_an_exporter_delivers_the_tables_are_the_same(
    shop: Any, spark_engine: SparkEngine, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file_format = data.draw(st.sampled_from(["csv", "jsonl", "parquet"]))
    first, second = data.draw(shop.files(file_format)), data.draw(shop.files(file_format))
    tomorrow = DAYS[0] + timedelta(days=1)
    later = [DayFile(tomorrow, file.path.replace(str(DAYS[0]), str(tomorrow)), file.data) for file in second]
    folder = tmp_path_factory.mktemp("landing")
    for file in (*first, *later):
        (folder / file.path).write_bytes(file.data)
    outcomes: list[Taken | str] = []
    for engine in (PolarsEngine(), spark_engine):
        lake = DeltaLake(root=str(tmp_path_factory.mktemp("lake")))
        try:
            outcomes.append(take_in(shop.platform(file_format), LocalLanding(root=str(folder)), lake, engine))
        except UnreadableFileError as error:
            outcomes.append(str(error))
    polars, spark = outcomes
    if isinstance(polars, str) or isinstance(spark, str):
        assert polars == spark
    else:
        assert_same(spark, polars)


# Dagster's own code starts a resource inside a resource in its old way.
@pytest.mark.filterwarnings("ignore:InitResourceContext.dagster_run is deprecated")
def test_from_a_bucket_into_a_bucket(
    csv_platform: Platform, landing: LocalLanding, s3_bucket: Any, spark_engine: SparkEngine
) -> None:
    for file in landing.files():
        s3_bucket.put_object(Key=f"in/{file.path}", Body=landing.read(file.path))
    root = f"s3://{s3_bucket.name}"
    found: Landing = build_landing(Settings(home=Path(), lake=f"{root}/lake", landing=f"{root}/in"))
    with dg.build_resources({"landing": found}) as resources:
        lakes = {name: DeltaLake(root=f"{root}/{name}") for name in ("polars", "spark")}
        expected = take_in(csv_platform, resources.landing, lakes["polars"], PolarsEngine(), names=["events"])
        assert_same(take_in(csv_platform, resources.landing, lakes["spark"], spark_engine, names=["events"]), expected)
    assert expected.tables["sources/events"].height == 8


@pytest.mark.skipif(not DAILY.is_dir(), reason="needs the Online Retail files in shared/data")
def test_weeks_of_a_real_shop_are_the_same(tmp_path: Path, spark_engine: SparkEngine) -> None:
    platform = load_platform(REPOSITORY / "examples" / "online_retail" / "recsys.yaml")
    days = (date(2010, 12, 1), date(2010, 12, 20))
    landing = LocalLanding(root=str(DAILY))
    polars, spark = (
        take_in(platform, landing, DeltaLake(root=str(tmp_path / name)), engine, days)
        for name, engine in (("polars", PolarsEngine()), ("spark", spark_engine))
    )
    assert_same(spark, polars)
    assert polars.tables[REJECTED_ROWS.name].height > 10_000
