"""Columns as bytes: the very ones that msgpack and redis-py make of the same lists."""

import msgpack
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.connection import Connection

from recsys_assets.serving.packing import array_head, as_arguments, as_message_pack, bytes_head, text_head

LISTS = st.lists(st.lists(st.text(max_size=40), max_size=20), max_size=10)
LONG = [["x" * 31, "x" * 32, "x" * 255], ["x" * 256, "x" * 65_535, "\u00e9" * 33_000], [], ["same"] * 70_000]


def column(lists: list[list[str]]) -> pl.Series:
    return pl.Series(lists, dtype=pl.List(pl.String))


def by_redis(ids: list[str]) -> bytes:
    command = b"".join(Connection().pack_command("X", *ids))
    return command.removeprefix(b"*%d\r\n$1\r\nX\r\n" % (1 + len(ids)))


@given(lists=LISTS)
def test_lists_of_any_text_are_packed_as_msgpack_does(lists: list[list[str]]) -> None:
    assert as_message_pack(column(lists)) == [msgpack.packb(one) for one in lists]


@given(lists=LISTS)
def test_lists_of_any_text_become_arguments_as_redis_py_sends_them(lists: list[list[str]]) -> None:
    assert as_arguments(column(lists)) == [by_redis(one) for one in lists]


def test_long_ids_and_long_lists_are_packed_too() -> None:
    assert as_message_pack(column(LONG)) == [msgpack.packb(one) for one in LONG]
    assert as_arguments(column(LONG)) == [by_redis(one) for one in LONG]


@given(lists=LISTS, data=st.data())
def test_a_slice_of_a_column_is_packed_as_if_it_stood_alone(lists: list[list[str]], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(lists)))
    end = data.draw(st.integers(first, len(lists)))
    assert as_message_pack(column(lists)[first:end]) == [msgpack.packb(one) for one in lists[first:end]]


@pytest.mark.parametrize("size", [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536])
def test_the_heads_are_those_of_the_specification_at_every_border(size: int) -> None:
    assert msgpack.packb("x" * size).startswith(text_head(size))
    assert msgpack.packb(b"x" * size).startswith(bytes_head(size))
    assert msgpack.packb([None] * size).startswith(array_head(size))
