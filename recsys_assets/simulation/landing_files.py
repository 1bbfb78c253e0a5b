"""The landing files of one day, as `ebook_store.yaml` maps them, each written whole or not at all.

Only formats belong here: numbers of users and books become ids, days become dates. A day on which nothing
changed has no file.
"""

import gzip
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from recsys_assets.columns import BLOCK_TARGETS, EVENT_TYPES
from recsys_assets.simulation.blocks import CATEGORY, CREATOR, BlockChanges
from recsys_assets.simulation.catalogue import NEVER, Catalogue, genre_of
from recsys_assets.simulation.names import GENRES, author_name, book_ids, numbers_of, user_ids
from recsys_assets.simulation.outcomes import Events
from recsys_assets.simulation.people import People
from recsys_assets.simulation.responses import Impressions, Shown
from recsys_assets.simulation.rows import Ints

EVENTS_HEADER = "user,book,action,at,pieces,price"
SURFACE = "home"
_IMPRESSIONS = ("impressions", ".csv.gz")
_MOMENT = "%Y-%m-%dT%H:%M:%S"


@dataclass(frozen=True)
class LandingDay:
    """Where one day's files go, and how days are called in them.

    Attributes:
        landing: The folder of all landing files.
        first_day: The simulated day 0.
        today: The day of the files, counted from there.
    """

    landing: Path
    first_day: date
    today: int

    @property
    def date(self) -> date:
        """The day of the files."""
        return self.first_day + timedelta(days=self.today)

    def write_items(self, catalogue: Catalogue, changed: Ints) -> None:
        """Write `items/DATE.csv`: the changed books as they are now."""
        books, author = catalogue.books.take(changed), catalogue.author[changed]
        rows = pl.DataFrame(
            {
                "book": book_ids(changed),
                "title": pl.Series(catalogue.titles(changed), dtype=pl.String),
                "author": pl.Series([author_name(number) for number in author.tolist()], dtype=pl.String),
                "genre": _words(GENRES, genre_of(catalogue.author_shelf[author])),
                "price": books.price,
                "released": self._dates(books.released),
                "withdrawn": self._dates(books.withdrawn),
                "adult": catalogue.is_adult[changed],
                "series": catalogue.series(changed),
                "volume": books.volume,
            }
        )
        self._replace("items", ".csv", rows.write_csv(float_precision=2).encode() if len(rows) else b"")

    def write_users(self, people: People, changed: Ints) -> None:
        """Write `users/DATE.jsonl`: the changed accounts as they are now."""
        rows = pl.DataFrame(
            {
                "user": user_ids(changed),
                "signed_up": self._dates(people.signed_up[changed]).cast(pl.String),
                "adult_verified": people.is_verified[changed],
                "test_account": people.is_test[changed],
            }
        )
        self._replace("users", ".jsonl", rows.write_ndjson().encode())

    def write_blocks(self, changes: BlockChanges) -> None:
        """Write `blocks/DATE.jsonl`: blocks set and lifted, in order of time."""
        names = book_ids(changes.which).to_list()
        for row in np.flatnonzero(changes.target == CREATOR).tolist():
            names[row] = author_name(int(changes.which[row]))
        for row in np.flatnonzero(changes.target == CATEGORY).tolist():
            names[row] = GENRES[changes.which[row]]
        rows = pl.DataFrame(
            {
                "user": user_ids(changes.user),
                "what": _words(BLOCK_TARGETS, changes.target),
                "which": pl.Series(names, dtype=pl.String),
                "blocked": changes.is_blocked,
                "at": self._moments(changes.second).dt.strftime(_MOMENT),
            }
        )
        self._replace("blocks", ".jsonl", rows.write_ndjson().encode())

    def event_lines(self, events: Events) -> list[str]:
        """The rows of the events file, without its header and without line ends."""
        rows = pl.DataFrame(
            {
                "user": user_ids(events.user),
                "book": book_ids(events.book),
                "action": _words(EVENT_TYPES, events.action),
                "at": self._moments(events.second),
                "pieces": np.ones(len(events), dtype=np.int64),
                "price": pl.Series(events.price, nan_to_null=True),
            }
        )
        text = rows.write_csv(include_header=False, datetime_format=_MOMENT, float_precision=2)
        return text.splitlines()

    def write_events(self, lines: list[str]) -> None:
        """Write `events/DATE.csv.gz`; the same lines give the same bytes."""
        text = "\n".join([EVENTS_HEADER, *lines, ""])
        self._replace("events", ".csv.gz", _gzipped(text.encode()) if lines else b"")

    def write_impressions(self, shown: Shown, impressions: Impressions) -> None:
        """Write `impressions/DATE.csv.gz`: each place of each list that was shown; clicks are among the events."""
        rows = shown.take(impressions.shown)
        table = pl.DataFrame(
            {
                "request": f"{self.date:%Y%m%d}-" + user_ids(rows.user),
                "user": user_ids(rows.user),
                "book": book_ids(rows.book),
                "place": rows.position,
                "at": self._moments(impressions.second),
                "surface": pl.repeat(SURFACE, len(rows), eager=True),
                "family": pl.Series(rows.family, dtype=pl.String),
                "version": pl.Series(rows.version, dtype=pl.String),
                "arm": pl.Series(rows.arm, dtype=pl.String),
            }
        )
        text = table.write_csv(datetime_format=_MOMENT)
        self._replace(*_IMPRESSIONS, _gzipped(text.encode()) if len(rows) else b"")

    def shown_before(self) -> Shown | None:
        """The lists that the file of an earlier simulation says were shown on this day; None without a file.

        What was really shown stays so, whatever the shop would show by now.
        """
        path = self._path(*_IMPRESSIONS)
        if not path.exists():
            return None
        rows = pl.read_csv(path, schema_overrides={"version": pl.String})
        return Shown(
            user=numbers_of(rows["user"]),
            book=numbers_of(rows["book"]),
            position=rows["place"].to_numpy(),
            family=rows["family"].to_numpy(),
            version=rows["version"].to_numpy(),
            arm=rows["arm"].to_numpy(),
        )

    def _dates(self, days: Ints) -> pl.Series:
        """Dates of days counted from the first one; NEVER becomes null."""
        dates = np.datetime64(self.first_day, "D") + days.astype("timedelta64[D]")
        return pl.Series(np.where(days == NEVER, np.datetime64("NaT"), dates), dtype=pl.Date)

    def _moments(self, seconds: Ints) -> pl.Series:
        midnight = np.datetime64(datetime.combine(self.date, time()), "us")
        return pl.Series(midnight + seconds.astype("timedelta64[s]"), dtype=pl.Datetime("us"))

    def _replace(self, folder: str, suffix: str, content: bytes) -> None:
        """Put the whole file in its place at once; without content, see that there is none.

        A file that is there already with this content is left alone, so that nobody takes it for a new one.
        """
        path = self._path(folder, suffix)
        if content and path.exists() and path.read_bytes() == content:
            return
        if not content:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.part")
        unfinished.write_bytes(content)
        unfinished.replace(path)

    def _path(self, folder: str, suffix: str) -> Path:
        return self.landing / folder / f"{self.date.isoformat()}{suffix}"


def _words(words: tuple[str, ...], places: Ints) -> pl.Series:
    return pl.Series(words, dtype=pl.String).gather(places)


def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=6, mtime=0)
