"""A real shop's year, as it was exported: 305 daily files with all their faults."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from recsys_assets.columns import SOURCE_TABLES
from recsys_assets.ingestion.canonical import CanonicalRows, to_canonical
from recsys_assets.ingestion.days import files_by_day
from recsys_assets.ingestion.draft import draft_mapping
from recsys_assets.ingestion.reading import DayFile, read_files
from recsys_assets.platform import Platform, load_platform

REPOSITORY = Path(__file__).resolve().parents[2]
DAILY = REPOSITORY.parent / "shared" / "data" / "online_retail" / "daily"
ROWS = 541_909

pytestmark = pytest.mark.skipif(not DAILY.is_dir(), reason="needs the Online Retail files in shared/data")


def canonical(platform: Platform, table: str) -> CanonicalRows:
    mapping = platform.sources[table]
    days = files_by_day((path.name for path in DAILY.iterdir()), mapping)
    landed = (DayFile(day, name, (DAILY / name).read_bytes()) for day, names in days.items() for name in names)
    return to_canonical(read_files(landed, mapping), SOURCE_TABLES[table], mapping, platform)


@pytest.fixture(scope="module", params=["events", "items"])
def table(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def result(table: str) -> CanonicalRows:
    return canonical(load_platform(REPOSITORY / "examples" / "online_retail" / "recsys.yaml"), table)


def test_every_row_of_every_file_is_accepted_or_rejected(result: CanonicalRows) -> None:
    assert result.counts.height == 305
    assert result.counts["parsed"].sum() == ROWS
    assert result.counts.filter(pl.col("parsed") != pl.col("accepted") + pl.col("rejected")).is_empty()
    assert result.accepted.height + result.counts["folded"].sum() + result.rejected.height == ROWS


def test_the_reasons_are_the_known_faults_of_the_data(table: str, result: CanonicalRows) -> None:
    reasons = dict(result.rejected["reason"].value_counts().rows())
    expected = {
        "events": {
            "no_customer": 135_080,
            "duplicate": 5_220,
            "not_a_product": 1_920,
            "price_not_positive": 33,
        },
        "items": {
            "not_a_sale": 8_704,
            "duplicate": 5_221,
            "not_a_product": 2_995,
            "price_not_positive": 2_485,
        },
    }
    assert reasons == expected[table]


def test_the_drafted_configuration_reads_the_shops_files(tmp_path: Path) -> None:
    text = draft_mapping((path.name for path in DAILY.iterdir()), lambda name: (DAILY / name).read_bytes())
    (tmp_path / "recsys.yaml").write_text(text, encoding="utf-8")
    platform = load_platform(tmp_path / "recsys.yaml")
    assert (platform.first_day, platform.last_day) == (date(2010, 12, 1), date(2011, 12, 9))
    assert {name: column.source for name, column in platform.sources["events"].columns.items()} == {
        "user_id": "CustomerID",
        "item_id": "StockCode",
        "occurred_at": "InvoiceDate",
        "quantity": "Quantity",
        "unit_price": "UnitPrice",
    }
    events = canonical(platform, "events")
    assert dict(events.rejected["reason"].value_counts().rows()) == {
        "missing_user_id": 135_080,
        "duplicate": 5_225,
    }
    assert events.accepted.filter(event_type="refund").height > 8_000
    assert not events.accepted["user_id"].str.contains(".", literal=True).any()
