"""The view `eligible_items`: what may be recommended to somebody."""

import narwhals as nw

from recsys_assets.columns import ELIGIBLE_ITEMS, INTERACTIONS, ITEMS, ITEMS_SEEN
from recsys_assets.features import rules
from recsys_assets.features.view import Applied, FeatureView, Known


def _compute(known: Known) -> Applied:
    if "items" not in known.platform.sources:
        return _without_catalogue(known)
    configured = known.platform.rules
    on_sale = (
        Applied(known.state(ITEMS))
        .then(rules.without_unreleased, known.as_of, configured)
        .then(rules.without_withdrawn, known.as_of, configured)
    )
    return on_sale.into(rules.with_adult_rule(on_sale.frame, configured))


def _without_catalogue(known: Known) -> Applied:
    """Every item is on sale from its first accepted event on."""
    unknown = nw.lit(None, nw.String)
    return Applied(
        known.total(ITEMS_SEEN).select(
            "item_id", unknown.alias("creator"), unknown.alias("category"), nw.lit(value=False).alias("is_adult")
        )
    )


VIEW = FeatureView(
    table=ELIGIBLE_ITEMS,
    entity=("item_id",),
    keeps="snapshot",
    compute=_compute,
    inputs=(INTERACTIONS, ITEMS),
    rules=(rules.without_unreleased, rules.without_withdrawn, rules.with_adult_rule),
)
