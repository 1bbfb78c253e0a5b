"""The pictures of a report, and the numbers behind them: worked by hand, and looked up in the figures themselves."""

import io
import subprocess
import sys
from datetime import date, timedelta
from math import log2
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from recsys_assets.models.family import HISTORY_SCHEMA, Interactions
from recsys_assets.validation.curves import PURCHASES, Curves, curves_of, ndcg_by_k, newest_by_slot, popularity_shares
from recsys_assets.validation.evaluation import Holdout
from recsys_assets.validation.pictures import (
    embedded,
    ndcg_by_k_figure,
    ndcg_by_slot_figure,
    png,
    popularity_bias_figure,
    report_figure,
    write_pictures,
)

SLOT = date(2026, 2, 13)
SECOND = 1 / log2(3)
ITEM_USERS = pl.DataFrame({"item_id": ["a", "b", "c"], "users": [9, 5, 1]}, schema_overrides={"users": pl.UInt32})
LARGEST = 60_000
"""Bytes of a picture in Dagster's database."""


def lists(**items: str) -> pl.DataFrame:
    """User to list; one letter is one item."""
    rows = [(user, list(one)) for user, one in items.items()]
    return pl.DataFrame(rows, schema={"user_id": pl.String, "item_ids": pl.List(pl.String)}, orient="row")


def holdout(eligible: str = "abcd", **taken: str) -> Holdout:
    """A holdout of users who all have a history, and of what they took."""
    pairs = [(user, item) for user, items in taken.items() for item in items]
    known = pl.DataFrame([(user, "a", SLOT, 1.0) for user in taken], schema=HISTORY_SCHEMA, orient="row")
    hits = pl.DataFrame(pairs, schema={"user_id": pl.String, "item_id": pl.String}, orient="row")
    return Holdout(Interactions(known, SLOT), hits, pl.DataFrame(), pl.DataFrame({"item_id": list(eligible)}))


def reports(*rows: tuple[int, str, float | None]) -> pl.DataFrame:
    """Days after the slot, version, NDCG."""
    schema = {"ds": pl.Date, "version": pl.String, "ndcg_at_10": pl.Float64}
    frame = pl.DataFrame([(SLOT + timedelta(days=day), *rest) for day, *rest in rows], schema=schema, orient="row")
    ndcg = pl.col("ndcg_at_10")
    return frame.with_columns(ndcg_at_10_low=ndcg - 0.01, ndcg_at_10_high=ndcg + 0.01)


def curves(slots: int = 1, *names: str, users: int = 2) -> Curves:
    taken = {f"user {number}": "b" for number in range(users)}
    of_all = lists(**dict.fromkeys(taken, "ab"))
    past = reports(*((2 * number, str(number), 0.1 + number / 1000) for number in range(slots)))
    return curves_of(dict.fromkeys(("this version", *names), of_all), holdout(**taken), ITEM_USERS, past)


class TestNumbers:
    def test_ndcg_is_cut_at_every_length(self) -> None:
        taken = holdout(ann="b", bob="a")
        found = ndcg_by_k({"mine": lists(ann="ab", bob="ab")}, taken.hits, taken.users, (1, 2))
        assert found.rows() == [("mine", 1, 0.5), ("mine", 2, pytest.approx((SECOND + 1) / 2))]

    def test_only_the_newest_version_of_a_slot_is_shown(self) -> None:
        found = newest_by_slot(reports((3, "11", 0.3), (0, "9", 0.1), (0, "10", 0.2), (5, "12", None)))
        assert found.select("ds", "ndcg_at_10").rows() == [(SLOT, 0.2), (SLOT + timedelta(days=3), 0.3)]

    def test_the_blend_has_a_name_and_no_number(self) -> None:
        assert newest_by_slot(reports((0, "als=1, popularity=1", 0.2))).height == 1

    def test_shares_add_up_over_the_items_from_the_most_popular_one_on(self) -> None:
        taken = holdout(ann="bd", bob="c")
        found = popularity_shares({"mine": lists(ann="ab", bob="ac", stranger="dd")}, taken, ITEM_USERS)
        by_who = {who: dict(rows.select("items", "share").iter_rows()) for (who,), rows in found.group_by("who")}
        assert by_who == {
            "mine": {1: 0.5, 2: 0.75, 3: 1.0, 4: 1.0},
            PURCHASES: {1: 0.0, 2: pytest.approx(1 / 3), 3: pytest.approx(2 / 3), 4: 1.0},
        }

    def test_only_the_first_ten_places_and_eligible_items_are_counted(self) -> None:
        taken = holdout("abcdefghijk", ann="az")  # z came on sale in the holdout
        found = popularity_shares({"mine": lists(ann="kabcdefghij")}, taken, ITEM_USERS)
        ends = found.group_by("who", maintain_order=True).agg(pl.col("share").first())
        assert ends.rows() == [("mine", 0.1), (PURCHASES, 1.0)]
        assert found.filter(pl.col("who") == "mine")["share"].to_list()[-1] == 1.0


class TestFigures:
    def test_each_picture_says_what_its_axes_are(self) -> None:
        labels = {
            figure.axes[0].get_title(): (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel())
            for figure in (one(curves()) for one in (ndcg_by_k_figure, ndcg_by_slot_figure, popularity_bias_figure))
        }
        assert labels == {
            "NDCG by list length": ("list length k", "NDCG at k"),
            "NDCG at 10 by slot, 95 % interval": ("slot", "NDCG at 10"),
            "Popularity bias": ("the most popular items", "share of the first 10 places"),
        }

    def test_the_approved_version_and_popularity_stand_beside_the_version(self) -> None:
        (axes,) = ndcg_by_k_figure(curves(1, "version 3 (in use)", "popularity")).axes
        drawn = {line.get_label(): (line.get_color(), line.get_linestyle(), line.get_marker()) for line in axes.lines}
        assert list(drawn) == ["this version", "version 3 (in use)", "popularity"]
        for looks in zip(*drawn.values(), strict=True):
            assert len(set(looks)) == 3  # colour alone tells nobody everything
        assert list(axes.lines[0].get_xdata()) == [1, 5, 10, 20, 50, 100, 200]

    def test_what_users_took_is_drawn_beside_what_was_shown(self) -> None:
        (axes,) = popularity_bias_figure(curves()).axes
        assert [line.get_label() for line in axes.lines] == ["this version", PURCHASES]

    @pytest.mark.parametrize("slots", [1, 2, 3, 100])
    def test_slots_are_shown_with_their_intervals_the_newest_named_last(self, slots: int) -> None:
        (axes,) = ndcg_by_slot_figure(curves(slots)).axes
        ((line, _, (bars,)),) = axes.containers
        assert len(line.get_xdata()) == len(bars.get_segments()) == min(slots, 40)
        named = [label.get_text() for label in axes.get_xticklabels()]
        assert named[-1] == str(SLOT + timedelta(days=2 * (slots - 1)))
        assert len(named) == len(set(named)) == min(slots, 4)

    def test_an_interval_that_does_not_hold_its_mean_is_drawn_all_the_same(self) -> None:
        beside = reports((0, "1", 0.2)).with_columns(ndcg_at_10_low=pl.lit(0.21))
        assert png(ndcg_by_slot_figure(Curves(curves().by_k, newest_by_slot(beside), curves().shares)))

    def test_a_holdout_without_users_is_said_in_the_picture(self) -> None:
        figure = report_figure(curves(0, users=0))
        assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [["nobody to judge by"]] * 3
        assert png(figure)

    def test_nothing_is_kept_in_global_state(self) -> None:
        code = (
            "import sys, recsys_assets.validation.pictures as p; assert 'matplotlib' not in sys.modules;"
            "import polars as pl; from recsys_assets.validation.curves import Curves;"
            "p.png(p.report_figure(Curves(pl.DataFrame(), pl.DataFrame(), pl.DataFrame())));"
            "assert 'matplotlib.pyplot' not in sys.modules"
        )
        subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


class TestImages:
    def test_the_picture_on_the_asset_is_an_image_small_enough_for_a_database(self) -> None:
        full = curves(40, "version 3 (in use)", "popularity")
        image = png(report_figure(full))
        markdown = embedded(image, "the report")
        assert markdown.startswith("![the report](data:image/png;base64,")
        assert len(markdown) < LARGEST
        with Image.open(io.BytesIO(image)) as decoded:
            decoded.load()
            assert decoded.format == "PNG"
            assert decoded.width > 3 * decoded.height > 600

    def test_the_same_figures_make_the_same_bytes(self) -> None:
        assert png(report_figure(curves())) == png(report_figure(curves()))

    def test_each_picture_is_a_file_for_the_registry(self, tmp_path: Path) -> None:
        write_pictures(curves(), tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "ndcg_by_k.png",
            "ndcg_by_slot.png",
            "popularity_bias.png",
        ]
        for path in tmp_path.iterdir():
            with Image.open(path) as decoded:
                decoded.load()
