"""Progress bars of runs. They are drawn by the driver, because inside a run Dagster redirects the file descriptors."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import dagster as dg
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from sensors.decisions import Start

TITLES = {
    "ingest": "Ingesting",
    "refresh": "Computing features of",
    "train": "Training slot",
    "recommend": "Recommending for",
    "monitor": "Measuring what was shown on",
    "decide": "Deciding after",
    "dashboard": "Writing the page of",
}


STANDARD_ERROR = 2


@contextmanager
def run_progress() -> Iterator["RunProgress"]:
    """Progress on the terminal: on a copy of its descriptor, which stays while Dagster redirects the original."""
    with os.fdopen(os.dup(STANDARD_ERROR), "w") as stream:
        yield RunProgress(stream)


class RunProgress:
    """A bar per run, one step at a time. On what is no terminal, a plain line per run instead."""

    def __init__(self, stream: TextIO) -> None:
        self.console = Console(file=stream, highlight=False, emoji=False)
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    @contextmanager
    def run(self, start: Start, steps: int) -> Iterator[None]:
        """Show a run while the context lasts."""
        span = f"{start.first}" if start.first == start.last else f"{start.first} to {start.last}"
        title = f"{TITLES[start.job]} {span}"
        if not self.console.is_terminal:
            self.console.print(f"{title} ({steps} steps)")
            yield
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[step]}"),
        )
        with Progress(*columns, console=self.console) as self._progress:
            self._task = self._progress.add_task(title, total=steps, step="")
            yield
            self._progress.update(self._task, step="")
        self._progress = None

    def logger(self) -> dg.LoggerDefinition:
        """A Dagster logger that moves the bar, instead of flooding the terminal."""
        handler = _StepHandler(self)

        def progress_logger(init_context: dg.InitLoggerContext) -> logging.Logger:
            del init_context
            logger = logging.Logger("recsys.progress", logging.DEBUG)  # noqa: LOG001 - of one run, known to nobody else
            logger.addHandler(handler)
            return logger

        return dg.LoggerDefinition(progress_logger, description="Moves the progress bar of `recsys run`.")

    def on_step(self, event: dg.DagsterEvent) -> None:
        """Move the bar: a step has begun, or ended."""
        if self._progress is None or self._task is None:
            return
        if event.event_type_value == dg.DagsterEventType.STEP_START.value:
            self._progress.update(self._task, step=(event.step_key or "").replace("__", "/"))
        elif event.is_step_success or event.is_step_failure or event.is_step_skipped:
            self._progress.advance(self._task)


class _StepHandler(logging.Handler):
    def __init__(self, progress: RunProgress) -> None:
        super().__init__()
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        meta: dict[str, Any] = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event")
        if isinstance(event, dg.DagsterEvent):
            self._progress.on_step(event)
