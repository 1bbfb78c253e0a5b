"""Why a published list looks as it does: per item the family that brought it, and the owned item that speaks most."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from recsys_assets.columns import FINAL_RECOMMENDATIONS, PURCHASE_SEQUENCE
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.family import Interactions, Model, history_matrix
from recsys_assets.registry.serving_versions import load_release
from recsys_assets.serving.generations import Generation
from resources.model_registry import ModelRegistry, ModelVersion


@dataclass(frozen=True)
class Reason:
    """Why an item is on a user's list.

    Attributes:
        item_id: The recommended item.
        source: The family with the largest share in it; `popularity` where it fills the list up.
        because_of: The owned item that speaks most for it; None where the family looks at no history.
    """

    item_id: str
    source: str
    because_of: str | None


def explain(store: FeatureStore, registry: ModelRegistry, generation: Generation, user_id: str) -> list[Reason]:
    """Explain the published list of a user, item by item.

    Args:
        store: Features, to see the user's history as the lists saw it.
        registry: Where the models are that ranked.
        generation: The generation in use.
        user_id: Whose list.

    Returns:
        A reason per item, in the order of the list; none for a user without a list.
    """
    day = (generation.as_of, generation.as_of)
    mine = pl.col("user_id") == user_id
    lists = store.lake.scan(FINAL_RECOMMENDATIONS, day).filter(mine).collect()
    if lists.is_empty():
        return []
    items, sources = lists["item_ids"].item(0).to_list(), lists["sources"].item(0).to_list()
    bought = store.lake.scan(PURCHASE_SEQUENCE, day).filter(mine).select(pl.col("item_ids").explode()).collect()
    because: dict[str, str] = {}
    versions = generation.versions_of(lists["arm"].item(0))
    for name, family in configured_families(store.platform).items():
        brought = [item for item, source in zip(items, sources, strict=True) if source == name]
        if brought:
            version = registry.version(name, int(versions[name]))
            because |= _because(
                store, registry, version, generation.as_of, user_id, family, brought, bought["item_ids"]
            )
    return [Reason(item, source, because.get(item)) for item, source in zip(items, sources, strict=True)]


def _because(
    store: FeatureStore,
    registry: ModelRegistry,
    version: ModelVersion,
    as_of: date,
    user_id: str,
    family: ConfiguredFamily,
    items: list[str],
    bought: pl.Series,
) -> dict[str, str]:
    """Recommended item to the bought item that speaks most for it, as far as the family can tell."""
    model = load_release(registry, family.family, version).model
    rows = store.history(as_of, family.settings.ranked_days, (user_id, user_id))
    return strongest_reasons(model, Interactions(rows, as_of), user_id, items, bought)


def strongest_reasons(
    model: Model, history: Interactions, user_id: str, items: list[str], bought: pl.Series
) -> dict[str, str]:
    """Ask a model which bought item speaks most for each recommended one.

    Args:
        model: The model that ranked.
        history: What the user did.
        user_id: Who.
        items: Recommended items that the model knows.
        bought: Items that the user bought and kept; others of the history (only viewed) are no reason to tell.

    Returns:
        Recommended item to bought item; empty where the model looks at no history or the user bought nothing.
    """
    weights = model.parameters.history_weights(history)
    matrix = history_matrix(weights, pl.Series("user_id", [user_id]), model.item_ids)
    places = pl.DataFrame({"item_id": model.item_ids}).with_row_index("place")
    wanted = pl.DataFrame({"item_id": items}).join(places, on="item_id", maintain_order="left")
    shares = model.reasons(matrix, wanted["place"].cast(pl.Int64).to_numpy())
    known = model.item_ids.gather(matrix.indices)
    is_bought = known.is_in(bought.implode()).to_numpy()
    if shares is None or not is_bought.any():
        return {}
    strongest = known.filter(pl.Series(is_bought)).gather(np.argmax(shares[:, is_bought], axis=1))
    return dict(zip(wanted["item_id"], strongest, strict=True))
