"""How the platform is run day by day, as arguments of assets: until when, beside what, and what is tried again.

The limits of the pools are in Dagster's own `dagster.yaml`, which `recsys` writes into a new home.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import time, timedelta

import dagster as dg

from recsys_assets.platform import Platform

TRAINING_POOL = "training"
"""Steps that fit and judge models: one run of them at a time, so that a backfill of slots never keeps a day waiting."""
RETRIES = 3
RETRY_SECONDS = 20
"""Together a minute: what a server needs to start again. What takes longer, the sensors try again."""


def fresh_by(platform: Platform, deadline: time) -> dg.FreshnessPolicy | None:
    """Each day has to be there by a time of the day after it; None for a replay of the past, which is never fresh."""
    if platform.last_day is not None:
        return None
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"{deadline.minute} {deadline.hour} * * *",
        lower_bound_delta=timedelta(hours=deadline.hour, minutes=deadline.minute),
        timezone=platform.time_zone,
    )


@contextmanager
def tried_again_after(*passing: type[Exception]) -> Iterator[None]:
    """Let Dagster try the step again after errors that pass by themselves, and only after those.

    Raises:
        dg.RetryRequested: One of them occurred.
    """
    try:
        yield
    except passing as error:
        raise dg.RetryRequested(RETRIES, RETRY_SECONDS) from error
