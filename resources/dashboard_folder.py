"""The folder of the dashboard's pages: one file per day, and `latest.html`, which is the newest of them.

What stands on a page stays out.
"""

import os
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import NamedTemporaryFile

import dagster as dg

LATEST = "latest.html"
SUFFIX = ".html"
MOST_PAGES = 400
"""More than a year; older pages are removed."""


class DashboardFolder(dg.ConfigurableResource):
    """Pages by day.

    Attributes:
        folder: Where they lie; made when the first is written.
    """

    folder: str

    def write(self, day: date, page: str) -> Path:
        """Put the page of a day in its place, and in that of the newest unless there is a newer one.

        Readers see the old page or the new one, never a part; whoever is killed in between leaves both readable, and
        the same call mends what is missing.

        Args:
            day: Its day.
            page: HTML.

        Returns:
            Where it lies.
        """
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{day}{SUFFIX}"
        _replace(path, page)
        days = self.days()
        if day == days[-1]:
            _replace(folder / LATEST, page)
        for old in days[:-MOST_PAGES]:
            (folder / f"{old}{SUFFIX}").unlink(missing_ok=True)
        return path

    def days(self) -> list[date]:
        """The days that have a page, oldest first."""
        found = []
        for path in Path(self.folder).glob(f"*{SUFFIX}"):
            with suppress(ValueError):  # `latest`
                found.append(date.fromisoformat(path.stem))
        return sorted(found)

    def read(self, day: date | None = None) -> str | None:
        """The page of a day, or the newest; None where there is none."""
        name = LATEST if day is None else f"{day}{SUFFIX}"
        try:
            return (Path(self.folder) / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None


def _replace(path: Path, text: str) -> None:
    """Write a file whole, or leave what was there."""
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
