"""What the assets of a slot all need alike: computed by the first of them, kept in this process for the others.

It counts only while the configuration and every table that it is made of are the same. Nothing is written anywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from recsys_assets.columns import TRAINING_SET
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.views import SNAPSHOTS
from recsys_assets.platform import Platform
from recsys_assets.slot_window import SlotWindow

SharedT = TypeVar("SharedT")
MADE_OF = (TRAINING_SET, *{table.name: table for view in SNAPSHOTS for table in view.inputs}.values())
"""The training set, and the tables that everything else in the feature store comes from."""


@dataclass(frozen=True)
class _Inputs:
    """What decides what is computed."""

    root: str
    versions: tuple[int, ...]
    window: SlotWindow
    platform: Platform


_kept: dict[str, tuple[_Inputs, Any]] = {}
"""Name to the newest value: a slot is done with when the next one begins."""


def shared(store: FeatureStore, window: SlotWindow, name: str, compute: Callable[[], SharedT]) -> SharedT:
    """Compute what `name` stands for, unless it was computed of the very same things before.

    Args:
        store: The features that it is made of.
        window: The slot.
        name: Of what is computed.
        compute: Reads only what is known of the slot, and returns what nobody changes.
    """
    versions = tuple(store.lake.version(table.name) for table in MADE_OF)
    inputs = _Inputs(store.lake.root, versions, window, store.platform)
    if name not in _kept or _kept[name][0] != inputs:
        _kept[name] = (inputs, compute())
    result: SharedT = _kept[name][1]
    return result
