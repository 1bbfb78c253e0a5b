"""Makes Dagster's embedded history quick to write, without changing what it stores or when it is safe."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path


@contextmanager
def history_held_open(dagster_home: Path, run_id: str) -> Iterator[None]:
    """Hold a connection to the SQLite files that a run's events go to, for as long as the context lasts.

    Dagster opens and closes a connection for each event, and a range of days has thousands. Whenever the last
    connection of a database closes, SQLite writes its log back and syncs; with one held open it does so now and then,
    which takes a third off the time. Each event is as durable as before.

    Args:
        dagster_home: The folder of the instance; one with another storage is left alone.
        run_id: The run that is about to be created.
    """
    folder = dagster_home / "history" / "runs"
    with ExitStack() as held:
        for name in (run_id, "index") if folder.is_dir() else ():
            connection = held.enter_context(closing(sqlite3.connect(folder / f"{name}.db")))
            connection.execute("PRAGMA journal_mode=WAL")  # as Dagster sets it
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # a connection opens when first used
        yield
