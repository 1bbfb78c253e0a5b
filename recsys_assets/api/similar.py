"""Items like another one, by the model that the blend trusts most; the inspector asks the models the same way."""

from dataclasses import dataclass

from recsys_assets.api.live_models import Snapshot
from recsys_assets.inspector.item_page import neighbours


@dataclass(frozen=True)
class Similar:
    """What is like an item.

    Attributes:
        item_ids: Best first.
        family: Who says so; None where no model knows the item.
        version: Its registry version.
    """

    item_ids: list[str]
    family: str | None = None
    version: str | None = None


def similar_items(snapshot: Snapshot, item_id: str, limit: int) -> Similar | None:
    """Ask the models in the order of their weights; the first that knows the item answers.

    Args:
        snapshot: What is in memory.
        item_id: The item.
        limit: How many.

    Returns:
        Eligible items only, without the item itself; None where neither the catalogue nor a model knows it.
    """
    in_order = sorted(snapshot.in_use.items(), key=lambda one: (-snapshot.weights.get(one[0], 0.0), one[0]))
    for family, version in in_order:
        model = snapshot.models[family, version].model
        if snapshot.as_of is not None and model.is_personal and item_id in model.item_ids:
            found = neighbours(model, item_id, snapshot.as_of, snapshot.eligible, limit)
            return Similar(found, family, str(version))
    is_known = item_id in snapshot.eligible["item_id"] or any(
        item_id in live.model.item_ids for live in snapshot.models.values()
    )
    return Similar([]) if is_known else None
