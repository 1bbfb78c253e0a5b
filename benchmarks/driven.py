"""`recsys run`, with the time that Dagster's event log takes measured from inside; prints it as one JSON line."""

import json

from features_driven import EventLog

from recsys_assets.cli.run import run_command
from recsys_assets.definitions import allow_known_warnings


def main() -> None:
    """Run, and look at how long events take to be stored."""
    allow_known_warnings()
    with EventLog().measured() as log:
        run_command(None, None)
    print(json.dumps({"event_log_seconds": log.seconds, "events": log.events}))


if __name__ == "__main__":
    main()
