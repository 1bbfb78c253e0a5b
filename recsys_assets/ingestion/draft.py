"""A first `recsys.yaml`, drafted from the files that lie in a folder, to be read and corrected by a person.

What columns are recognized by is declared in `clues`; this module only decides what to write, and writes it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import polars as pl

from recsys_assets.ingestion.clues import (
    Guess,
    event_words,
    guess_columns,
    guess_table,
    has_negatives,
    in_words,
    repairs_of,
)
from recsys_assets.ingestion.samples import Sample, take_samples

_PLAIN = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_SHOWN_CHARACTERS = 40
_YAML_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
_EVENT_OF_PATH = {
    "view": "view",
    "click": "view",
    "cart": "cart",
    "basket": "cart",
    "wish": "wish",
    "refund": "refund",
}
_FAMILIES = """\
families:
  popularity: # the baseline, and the fallback for users without history
    window_days: 30
    parameters: {half_life_days: 7}
  als:
    window_days: 365
    parameters: {factors: 64, regularization: 0.01, alpha: 1.0, iterations: 15}
"""


class NothingToDraftError(ValueError):
    """No file of the folder could feed `events`; the message says what was found and what is needed."""


def draft_mapping(paths: Iterable[str], read: Callable[[str], bytes], time_zone: str = "UTC") -> str:
    """Draft the configuration for the files of a folder.

    Args:
        paths: All files, relative to the folder, with `/` between folders.
        read: Gives the bytes of the file at a path; called for a few files of each kind.
        time_zone: The shop's time zone.

    Returns:
        The text of a `recsys.yaml` that loads.

    Raises:
        NothingToDraftError: No file looks like events.
    """
    samples = take_samples(paths, read)
    guesses = [(sample, guess_table(sample)) for sample in samples]
    sources: dict[str, tuple[Sample, Guess]] = {}
    for sample, guess in guesses:
        if guess is not None:
            sources.setdefault(guess.table, (sample, guess))
    if "events" not in sources:
        raise NothingToDraftError(_nothing_found(samples))
    _add_items_of_events(sources)
    used = {sample.template for sample, _ in sources.values()}
    left_over = [(sample, guess) for sample, guess in guesses if sample.template not in used]
    return "\n".join(_document(sources, left_over, time_zone)) + "\n\n" + _FAMILIES


def _add_items_of_events(sources: dict[str, tuple[Sample, Guess]]) -> None:
    """Where no file holds the catalogue, the events may name the items' titles."""
    sample, _ = sources["events"]
    columns = guess_columns(sample, "items")
    if "items" not in sources and "title" in columns:
        sources["items"] = (sample, Guess("items", columns))


def _document(
    sources: Mapping[str, tuple[Sample, Guess]],
    left_over: Iterable[tuple[Sample, Guess | None]],
    time_zone: str,
) -> Iterator[str]:
    days = [day for sample, _ in sources.values() for day in sample.days]
    yield "# Drafted from the files that were found. Read it, correct it, and delete the remarks."
    yield f"time_zone: {time_zone} # where the shop's days begin and end, such as Europe/London"
    yield f"first_day: {min(days)}"
    yield f"last_day: {max(days)} # only for a replay of old data: delete it when new days keep landing"
    yield ""
    yield "sources:"
    for table, (sample, guess) in sources.items():
        yield from _source(table, sample, guess)
    for sample, unused in left_over:
        yield from _unused(sample, unused)


def _source(table: str, sample: Sample, guess: Guess) -> Iterator[str]:
    yield f"  {table}: # {_span(sample)}"
    yield f"    path: {_quoted(sample.template)}"
    yield from [f"    format: {sample.format}"] if sample.format != "csv" else []
    yield from [f"    separator: {_quoted(sample.separator)}"] if sample.separator != "," else []
    yield "    columns:"
    mapped = {column: name for column, name in guess.columns.items() if column != "event_type"}
    for column, name in mapped.items():
        repairs = repairs_of(column, sample.texts[name])
        yield f"      {column}: {_column(name, repairs)}{_example(sample.texts[name])}"
    for name in sample.texts:
        if name not in guess.columns.values():
            yield f"      # not mapped: {_word(name)}{_example(sample.texts[name])}"
    if table == "events":
        yield from _event_type(sample, guess)


def _event_type(sample: Sample, guess: Guess) -> Iterator[str]:
    yield "    event_type:"
    quantity = guess.columns.get("quantity")
    if quantity is not None and has_negatives(sample.texts[quantity]):
        yield "      rules: # negative quantities were found"
        yield f"        - {{when: {{column: {_word(quantity)}, below: 0}}, is: refund}}"
    column = guess.columns.get("event_type")
    words = event_words(sample.texts[column]) if column is not None else None
    if column is not None and words is None:
        yield f"      # holds no event types: {_word(column)}{_example(sample.texts[column])}"
    if column is None or words is None:
        yield f"      default: {_event_of_path(sample.template)}"
        return
    translation, strange = words
    yield f"      column: {_word(column)}"
    if translation:
        yield f"      translate: {_flow(translation)}"
    if strange:
        yield f"      # rejected as unknown_event_type until translated: {', '.join(map(_shown, strange))}"


def _unused(sample: Sample, guess: Guess | None) -> Iterator[str]:
    yield f"  # not used: {_quoted(sample.template)}, {_span(sample)}"
    if guess is not None:
        yield f"  #   looks like {guess.table} too, but one path feeds a table; deliver them under one path"
    elif sample.trouble:
        yield f"  #   {sample.trouble}"
    else:
        yield f"  #   columns found: {', '.join(map(_shown, sample.texts))}"


def _span(sample: Sample) -> str:
    first, last = sample.days[0], sample.days[-1]
    return f"1 day, {first}" if first == last else f"{len(sample.days)} days, {first} to {last}"


def _nothing_found(samples: Iterable[Sample]) -> str:
    found = [f"{sample.template} ({', '.join(sample.texts) or sample.trouble})" for sample in samples]
    return (
        f"no file looks like events; needed are files that name their day, such as 2026-01-05.csv, with "
        f"columns for user, item and time. Found: {'; '.join(found) or 'no file that names a day'}"
    )


def _event_of_path(template: str) -> str:
    return next((event for word, event in _EVENT_OF_PATH.items() if word in in_words(template)), "purchase")


def _column(name: str, repairs: Mapping[str, str | bool]) -> str:
    return _flow({"from": name, **repairs}) if repairs else _word(name)


def _flow(content: Mapping[str, str | bool]) -> str:
    pairs = (f"{_word(key)}: {str(v).lower() if isinstance(v, bool) else _word(v)}" for key, v in content.items())
    return "{" + ", ".join(pairs) + "}"


def _word(text: str) -> str:
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS
    return text if is_plain else _quoted(text)


def _quoted(text: str) -> str:
    """The text between double quotes, on one line whatever it holds."""
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


def _example(texts: pl.Series) -> str:
    return "" if texts.is_empty() else f" # such as {_shown(texts[0])}"


def _shown(text: str) -> str:
    return _word(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "...")
