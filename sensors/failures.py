"""Why a run failed, from its events: what the gate refused, which is a normal outcome, and what went wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

OUR_ERRORS = ("recsys_assets.", "resources.", "dagster.")
"""Their messages say by themselves what was wrong, where, and what to do."""


@dataclass(frozen=True)
class Failures:
    """What stopped a run.

    Attributes:
        refusals: Blocking checks that did not pass, in words.
        errors: Step and error of everything else.
    """

    refusals: tuple[str, ...]
    errors: tuple[tuple[str, str], ...]


def failures_of(events: Sequence[dg.DagsterEvent]) -> Failures:
    """Tell refusals from errors: the step that a failed check stands in fails too, and that is no error."""
    evaluations = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    failed = [one for one in evaluations if not one.passed and one.blocking]
    refused_by = {"__".join(one.asset_key.path) for one in failed}
    return Failures(
        refusals=tuple(f"{one.asset_key.to_user_string()} {one.check_name}: {one.description}" for one in failed),
        errors=tuple(
            (event.step_key or "", _cause(event))
            for event in events
            if event.is_step_failure and event.step_key not in refused_by
        ),
    )


def _cause(event: dg.DagsterEvent) -> str:
    """The message of the exception that a step raised; of our own exceptions without the name of their class."""
    error = event.step_failure_data.error
    if error is None:
        return event.message or "failed"
    raised = error.cause or error
    kind, _, words = raised.message.strip().partition(": ")
    return words if kind.startswith(OUR_ERRORS) else raised.message.strip()
