"""What a training set must have to be worth training on. How its rows are made is said in `views.training_set`."""

from collections.abc import Mapping

from recsys_assets.slot_window import SlotWindow


class TooLittleHistoryError(Exception):
    """A slot cannot be trained or judged; the message says what is missing and from which slot on it is there."""


def require_rows(rows: Mapping[str, int], window: SlotWindow) -> None:
    """Make sure that there is something to train on and something to judge by.

    Args:
        rows: Split to its rows in `features/training_set` of one slot.
        window: The days that the slot sees.

    Raises:
        TooLittleHistoryError: There are no train rows, or no hits to judge by.
    """
    for split, name, days in (
        ("train", "interactions to train on", f"{window.first} to {window.candidate_through}"),
        ("holdout", "hits to judge by", f"{window.holdout} to {window.last}"),
    ):
        if not rows.get(split):
            raise TooLittleHistoryError(
                f"slot {window.slot} has no {name} in {days}; ingest these days, or choose a later slot"
            )
