"""What the page of a day takes from Dagster's history: it answers at once, also while MLflow or Redis does not."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, tzinfo
from itertools import islice
from typing import Any

import dagster as dg

from recsys_assets.monitoring.dashboard_data import Decision, InProduction, Publication
from recsys_assets.platform import Platform
from recsys_assets.registry.decision import GUARDRAIL
from recsys_assets.registry.promotions import APPROVALS_LOOKED_AT, Decided, read_decisions
from recsys_assets.serving.assets import ONLINE_STORE_KEY
from recsys_assets.slot_window import slot_window

PUBLICATIONS_LOOKED_AT, PUBLICATIONS_SHOWN = 60, 7
History = Mapping[str, Sequence[Decided]]
"""Family to its newest decisions, the newest first."""


def read_history(instance: dg.DagsterInstance, platform: Platform) -> dict[str, list[Decided]]:
    """The newest decisions on every family."""
    return {family: list(islice(read_decisions(instance, family), APPROVALS_LOOKED_AT)) for family in platform.families}


def decisions_until(history: History, platform: Platform, day: date) -> tuple[Decision, ...]:
    """The decisions that were made with what was known by a day, the newest first."""
    found = [(one.event_id, _decision(family, one, platform)) for family, decided in history.items() for one in decided]
    return tuple(one for _, one in sorted(found, key=lambda pair: pair[0], reverse=True) if one.known <= day)


def in_production(
    history: History, platform: Platform, weights: Mapping[str, float], day: date
) -> tuple[InProduction, ...]:
    """What served once everything was done that a day brought.

    Args:
        history: The decisions.
        platform: The configuration.
        weights: Family to its weight in the blend in force.
        day: Decisions that knew later days are left out.
    """
    return tuple(_served(family, decided, platform, weights, day) for family, decided in history.items())


def read_publications(instance: dg.DagsterInstance, platform: Platform, day: date) -> tuple[Publication, ...]:
    """The newest generations that know no later day, the newest first."""
    records = instance.fetch_materializations(ONLINE_STORE_KEY, limit=PUBLICATIONS_LOOKED_AT).records
    found = (_publication(record, platform.zone) for record in records)
    return tuple(islice((one for one in found if one is not None and one.as_of <= day), PUBLICATIONS_SHOWN))


def newest_publication(instance: dg.DagsterInstance) -> int:
    """The id of the newest publication in the history; 0 for none."""
    records = instance.fetch_materializations(ONLINE_STORE_KEY, limit=1).records
    return records[0].storage_id if records else 0


def _served(
    family: str, decided: Sequence[Decided], platform: Platform, weights: Mapping[str, float], day: date
) -> InProduction:
    promotions = (one for one in decided if one.kind != "rejection" and _known(one, platform) <= day)
    newest = next(promotions, None)
    weight = weights.get(family, 0.0)
    if newest is None or not newest.version:
        return InProduction(family, weight)
    seen_through = slot_window(platform, newest.slot).last
    return InProduction(
        family=family,
        weight=weight,
        version=newest.version,
        slot=newest.slot,
        seen_through=seen_through,
        days_behind=max((day - seen_through).days, 0),
        since=datetime.fromtimestamp(newest.since, tz=platform.zone),
        by=newest.by,
        reason=newest.reason,
    )


def _decision(family: str, decided: Decided, platform: Platform) -> Decision:
    return Decision(
        family=family,
        kind=decided.kind,
        version=decided.version,
        previous=decided.previous,
        known=_known(decided, platform),
        by=decided.by,
        reason=decided.reason,
        is_by_guardrail=decided.by == GUARDRAIL,
    )


def _known(decided: Decided, platform: Platform) -> date:
    """The newest day that was known to whoever decided; where nobody wrote it down, the day on which it was decided.

    What is decided after the end of a replay has seen no more than its last day.
    """
    on = datetime.fromtimestamp(decided.since, tz=platform.zone).date()
    known = date.fromisoformat(decided.as_of) if decided.as_of else on
    return known if platform.last_day is None else min(known, platform.last_day)


def _publication(record: dg.EventLogRecord, zone: tzinfo) -> Publication | None:
    """A publication; None of a run that left a newer generation in use."""
    materialization = record.asset_materialization
    if materialization is None or materialization.partition is None:
        return None
    value: dict[str, Any] = {name: entry.value for name, entry in materialization.metadata.items()}
    if not value.get("is_published"):
        return None
    return Publication(
        as_of=date.fromisoformat(materialization.partition),
        name=value["generation"],
        lists=value["lists"],
        versions=value["versions"],
        at=datetime.fromtimestamp(record.timestamp, tz=zone),
        seconds=value["seconds"],
    )
