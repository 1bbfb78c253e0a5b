"""JSON lines as raw rows: one object a line, each scalar as the text that stands in the file.

Every line goes through the standard library's `json`. Polars' reader is faster, but what it returns is not
what the file says: it writes numbers anew (`1.10` becomes `1.1`), skips blank lines, and keeps the first of
two equal keys.
"""

import json
from typing import Any

import polars as pl

from recsys_assets.ingestion.raw_rows import NOT_JSON, NOT_UTF8, UnreadableFileError, raw_rows
from recsys_assets.mapping import SourceMapping

_AS_DELIVERED = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_SCALARS = {True: "true", False: "false", None: None}


def read_jsonl(data: bytes, file_name: str, mapping: SourceMapping) -> pl.DataFrame:
    """Read one file of JSON lines; a line that is no object has a defect and no fields.

    Args:
        data: The file's bytes, decompressed.
        file_name: The file, relative to the landing.
        mapping: The declaration that it is read by.

    Returns:
        Its raw rows, in the order of the file. A key that an object lacks is null.

    Raises:
        UnreadableFileError: The file is binary: it begins with zero bytes, and no line of it is an object.
    """
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    names = mapping.file_columns
    raw = [line.removesuffix(b"\r").decode("utf-8", "replace") for line in lines]
    read = [_fields_of(line, names) for line in lines]
    if lines and b"\0" in lines[0] and all(defect is not None for defect, _ in read):
        raise UnreadableFileError(f"{file_name}: is binary; it should hold one JSON object a line, in UTF-8")
    return raw_rows(
        file_name,
        line=range(1, len(lines) + 1),
        raw=raw,
        defect=[defect for defect, _ in read],
        fields={name: [values[place] for _, values in read] for place, name in enumerate(names)},
    )


def _fields_of(line: bytes, names: tuple[str, ...]) -> tuple[str | None, tuple[str | None, ...]]:
    """The defect of a line, and the texts of the named keys."""
    nothing = (None,) * len(names)
    try:
        text = line.decode("utf-8")
        record = _AS_DELIVERED.decode(text)
        if not isinstance(record, dict):
            return NOT_JSON, nothing
        values = tuple(_text_of(record.get(name), name, text) for name in names)
        if "\\u" in text:  # an escape may hold half a character
            "".join(value or "" for value in values).encode()
    except UnicodeError:
        return NOT_UTF8, nothing
    except (ValueError, RecursionError):
        return NOT_JSON, nothing
    return None, values


def _text_of(value: Any, name: str, line: str) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):  # its numbers were read as text: read them as numbers
        return json.dumps(json.loads(line)[name], ensure_ascii=False)
    return _SCALARS[value]
