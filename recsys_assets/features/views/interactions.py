"""The view `interactions`: what each user did with each item on each day. No rule is applied, so none rewrites it."""

from recsys_assets.columns import EVENTS, INTERACTIONS
from recsys_assets.features import rules
from recsys_assets.features.view import Applied, FeatureView, Known


def _compute(known: Known) -> Applied:
    return Applied(rules.daily_interactions(known.asked(EVENTS)))


VIEW = FeatureView(
    table=INTERACTIONS,
    entity=rules.PAIR,
    keeps="changes",
    compute=_compute,
    inputs=(EVENTS,),
    window_days=1,
    reach_days=1,
    ttl_days=365,
    refers_to_catalogue=True,
)
