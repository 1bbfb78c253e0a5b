"""`recsys run`, with the time that Dagster's event log takes measured from inside; prints it as one JSON line."""

import json
import time
from typing import Any

from dagster import DagsterInstance

from recsys_assets.cli.run import run_command
from recsys_assets.definitions import allow_known_warnings


def main() -> None:
    """Wrap the one method through which every event is stored, and run."""
    spent, events = 0.0, 0
    store = DagsterInstance.handle_new_event

    def measured(self: DagsterInstance, *arguments: Any, **options: Any) -> None:
        nonlocal spent, events
        began = time.perf_counter()
        store(self, *arguments, **options)
        spent += time.perf_counter() - began
        events += 1

    DagsterInstance.handle_new_event = measured  # type: ignore[method-assign]
    allow_known_warnings()
    run_command(None, None)
    print(json.dumps({"event_log_seconds": spent, "events": events}))


if __name__ == "__main__":
    main()
