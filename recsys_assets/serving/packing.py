"""Lists of ids as bytes, a whole column at once: MessagePack arrays, and arguments of Redis commands.

Byte for byte what msgpack and redis-py make of the same lists, several times as fast, because no id ever becomes a
Python object. What the bytes are for stays out.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

END_OF_LINE = b"\r\n"


def as_message_pack(lists: pl.Series) -> list[bytes]:
    """Each list as a MessagePack array of strings (https://github.com/msgpack/msgpack/blob/master/spec.md).

    Args:
        lists: List(String), without nulls.
    """
    bodies = _framed(lists, text_head)
    return [array_head(length) + body for length, body in zip(lists.list.len(), bodies, strict=True)]


def as_arguments(lists: pl.Series) -> list[bytes]:
    """Each list as arguments of a command: bulk strings of the Redis protocol.

    Args:
        lists: List(String), without nulls.
    """
    return _framed(lists, argument_head, END_OF_LINE)


def array_head(length: int) -> bytes:
    """What a MessagePack array of so many elements begins with."""
    if length < 1 << 4:
        return bytes([0x90 | length])
    return b"\xdc" + length.to_bytes(2) if length < 1 << 16 else b"\xdd" + length.to_bytes(4)


def text_head(size: int) -> bytes:
    """What a MessagePack string of so many bytes begins with."""
    if size < 1 << 5:
        return bytes([0xA0 | size])
    if size < 1 << 8:
        return b"\xd9" + size.to_bytes(1)
    return b"\xda" + size.to_bytes(2) if size < 1 << 16 else b"\xdb" + size.to_bytes(4)


def bytes_head(size: int) -> bytes:
    """What MessagePack binary data of so many bytes begin with."""
    if size < 1 << 8:
        return b"\xc4" + size.to_bytes(1)
    return b"\xc5" + size.to_bytes(2) if size < 1 << 16 else b"\xc6" + size.to_bytes(4)


def argument_head(size: int) -> bytes:
    """What a bulk string of so many bytes begins with."""
    return b"$%d\r\n" % size


def argument(value: bytes) -> bytes:
    """One argument of a command."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


def command(arguments: int) -> bytes:
    """What a command with so many arguments, its name included, begins with."""
    return b"*%d\r\n" % arguments


def _framed(lists: pl.Series, head: Callable[[int], bytes], tail: bytes = b"") -> list[bytes]:
    """The texts of each list one after the other, each with a head that depends on its size in bytes, and a tail."""
    text, ends = _texts(lists.explode(empty_as_null=False, keep_nulls=False))
    sizes = np.diff(ends, prepend=0)
    counts = np.bincount(sizes) if sizes.size else np.zeros(0, dtype=np.int64)
    heads = {int(size): head(int(size)) for size in np.flatnonzero(counts)}
    head_sizes = np.zeros(counts.size, dtype=np.int64)
    for size, one in heads.items():
        head_sizes[size] = len(one)
    framed_ends = np.cumsum(head_sizes[sizes] + sizes + len(tail))
    out = np.empty(int(framed_ends[-1]) if framed_ends.size else 0, dtype=np.uint8)
    is_text = np.ones(out.size, dtype=np.bool_)
    for size, one in heads.items():
        whole = len(one) + size + len(tail)
        starts = (framed_ends if len(heads) == 1 else framed_ends[sizes == size]) - whole
        places = [*range(len(one)), *range(len(one) + size, whole)]
        for place, byte in zip(places, one + tail, strict=True):
            out[starts + place] = byte
            is_text[starts + place] = False
    out[is_text] = text
    last = np.cumsum(lists.list.len().to_numpy(), dtype=np.int64)
    bounds = np.concatenate([[0], framed_ends])[np.concatenate([[0], last])].tolist()
    everything = out.tobytes()
    return [everything[begin:end] for begin, end in pairwise(bounds)]


def _texts(ids: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of all ids, and where each ends."""
    array = ids.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return np.zeros(0, dtype=np.uint8), np.zeros(len(array), dtype=np.int64)
    bounds = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]], bounds[1:] - bounds[0]
