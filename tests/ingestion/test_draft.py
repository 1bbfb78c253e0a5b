"""What `recsys init` writes for folders of several shops; every draft must load."""

import gzip
import io
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from recsys_assets.ingestion.clues import event_words, guess_table, in_words, timestamp_format
from recsys_assets.ingestion.draft import NothingToDraftError, draft_mapping
from recsys_assets.ingestion.samples import Sample, template_of
from recsys_assets.platform import BUNDLED_CONFIG, Platform, load_platform

EVENTS = b"user,book,action,at,pieces,price\nu1,b1,purchase,2026-01-05T10:00:00,1,9.5\nu2,b2,view,2026-01-05,,\n"
EBOOK_STORE = {
    "events/2026-01-05.csv.gz": gzip.compress(EVENTS),
    "events/2026-01-06.csv.gz": gzip.compress(EVENTS),
    "items/2026-01-05.csv": b"book,title,author,genre,price,released,withdrawn,adult,series,volume\n"
    b"b1,T,A,G,9.5,,,0,S,1",
    "users/2026-01-05.jsonl": b'{"user":"u1","signed_up":null,"adult_verified":true,"test_account":0}',
    "blocks/2026-01-05.jsonl": b'{"user":"u1","what":"creator","which":"A","blocked":true,"at":"2026-01-05"}',
}


def drafted(files: dict[str, bytes], folder: Path) -> tuple[str, Platform]:
    text = draft_mapping(files, files.__getitem__)
    (folder / "recsys.yaml").write_text(text, encoding="utf-8")
    return text, load_platform(folder / "recsys.yaml")


def test_the_folder_of_the_e_book_store_is_mapped_as_its_own_configuration_maps_it(tmp_path: Path) -> None:
    _, platform = drafted(EBOOK_STORE, tmp_path)
    bundled = load_platform(BUNDLED_CONFIG)
    assert set(platform.sources) == set(bundled.sources) - {"impressions"}  # no file of them lies there
    for table, draft in platform.sources.items():
        mapping = bundled.sources[table]
        assert (draft.path, draft.format, draft.columns) == (mapping.path, mapping.format, mapping.columns)
    assert platform.sources["events"].event_type == bundled.sources["events"].event_type
    assert (platform.first_day, platform.last_day) == (date(2026, 1, 5), date(2026, 1, 6))
    assert set(platform.families) == {"popularity", "als"}


def test_negative_quantities_become_refunds_and_float_ids_lose_their_fraction(tmp_path: Path) -> None:
    data = b"Customer No;SKU;Order Date;Qty\n17.0;a1;05.01.2026 10:00;2\n18.0;A1;05.01.2026 11:00;-1\n"
    _, platform = drafted({"sales_2026-01-05.csv": data}, tmp_path)
    events = platform.sources["events"]
    assert (events.path, events.separator) == ("sales_{date}.csv", ";")
    assert events.columns["user_id"].strip_suffix == ".0"
    assert events.columns["item_id"].case == "upper"
    assert events.columns["quantity"].absolute
    assert events.columns["occurred_at"].timestamp_format == "%d.%m.%Y %H:%M"
    assert events.event_type is not None
    assert [rule.is_ for rule in events.event_type.rules] == ["refund"]


def test_parquet_in_folders_named_by_day_is_understood(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"userId": [1], "productId": [2], "ts": [1_767_600_000]}).write_parquet(buffer)
    _, platform = drafted({"views/dt=2026-01-05/part-00000-ab.c000.snappy.parquet": buffer.getvalue()}, tmp_path)
    events = platform.sources["events"]
    assert (events.path, events.format) == ("views/dt={date}/part-*.parquet", "parquet")
    assert events.event_type is not None
    assert events.event_type.default == "view"


def test_words_for_events_are_translated_and_unknown_ones_are_named(tmp_path: Path) -> None:
    data = b"visitor,item,time,event\n1,2,2026-01-05,addtocart\n1,2,2026-01-05,view\n1,2,2026-01-05,zoom\n"
    text, platform = drafted({"2026-01-05.csv": data}, tmp_path)
    event_type = platform.sources["events"].event_type
    assert event_type is not None
    assert (event_type.column, event_type.translate) == ("event", {"addtocart": "cart"})
    assert "# rejected as unknown_event_type until translated: zoom" in text


def test_what_is_not_used_becomes_a_remark_with_what_was_found(tmp_path: Path) -> None:
    strange = {
        "weather/2026-01-05.csv": b"city,rain\nX,1\n",
        "more/2026-01-05.csv": EVENTS,
        "broken/2026-01-05.csv": b"",
        "readme.txt": b"hello",
    }
    text, platform = drafted(EBOOK_STORE | strange, tmp_path)
    assert set(platform.sources) == {"events", "items", "users", "user_blocks"}
    assert 'not used: "weather/{date}.csv", 1 day, 2026-01-05\n  #   columns found: city, rain' in text
    assert 'not used: "more/{date}.csv"' in text
    assert "looks like events too" in text
    assert "broken/2026-01-05.csv: is empty" in text


def test_values_and_names_of_any_kind_cannot_break_the_draft(tmp_path: Path) -> None:
    ugly = 'x\u2028"\\: #{}\x85\U0001f600 \x07'
    header = f'user,item,at,"{ugly.replace(chr(34), chr(34) * 2)}",yes\n'
    data = (header + f"u,b,2026-01-05,{ugly.replace(chr(34), '')},n\n").encode()
    text, _ = drafted({'we"ird\u2028/2026-01-05.csv': data}, tmp_path)
    assert all(character.isprintable() or character == "\n" for character in text)


def test_a_folder_without_events_says_what_was_found_and_what_is_needed() -> None:
    files = {"2026-01-05.csv": b"city,rain\nX,1\n"}
    with pytest.raises(NothingToDraftError, match=r"columns for user, item and time\. Found: .*city, rain"):
        draft_mapping(files, files.__getitem__)
    with pytest.raises(NothingToDraftError, match="no file that names a day"):
        draft_mapping([], files.__getitem__)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("events/2026-01-05.csv.gz", "events/{date}.csv.gz"),
        ("dt=2026-01-05/part-0.parquet", "dt={date}/part-*.parquet"),
        ("2026-01-05/sales_2026-01-05.csv", "{date}/sales_*.csv"),
        ("2026-02-31.csv", None),
        ("2026-01-05.pdf", None),
        ("latest.csv", None),
    ],
)
def test_templates_are_found_where_a_path_names_an_existing_day(path: str, template: str | None) -> None:
    found = template_of(path)
    assert (found[0] if found else None) == template


def test_names_are_compared_by_their_words() -> None:
    assert [in_words(name) for name in ("CustomerID", "unit price", "is-Adult?")] == [
        "customer_id",
        "unit_price",
        "is_adult",
    ]


def test_an_item_with_only_an_id_is_no_catalogue() -> None:
    texts = {name: pl.Series(["1"]) for name in ("item_id", "rain")}
    assert guess_table(Sample("{date}.csv", "csv", ",", (), texts)) is None


def test_a_column_without_any_event_word_is_no_event_type() -> None:
    assert event_words(pl.Series(["ebook", "audio"])) is None
    assert event_words(pl.Series(["Buy", "VIEW", "zoom"])) == ({"Buy": "purchase", "VIEW": "view"}, ["zoom"])


def test_iso_moments_need_no_format() -> None:
    assert timestamp_format(pl.Series(["2026-01-05 10:00", "x"])) is None
    assert timestamp_format(pl.Series(["12/31/2026 10:00"])) == "%m/%d/%Y %H:%M"
