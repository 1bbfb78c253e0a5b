"""Everything on the page of a day, read from the lake and from Dagster's history, and what the page is made of.

Neither the model registry nor the online store is asked: the page is wanted most while something is broken.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import date

import dagster as dg

from recsys_assets.columns import (
    BLENDS,
    EXPERIMENTS,
    GUARDRAILS,
    INGESTED_FILES,
    INTERACTION_DAYS,
    ONLINE_DAYS,
    VERDICTS,
)
from recsys_assets.monitoring.dashboard_data import Dashboard, Decision, Gate, InProduction
from recsys_assets.monitoring.dashboard_history import (
    decisions_until,
    in_production,
    newest_publication,
    read_history,
    read_publications,
)
from recsys_assets.monitoring.dashboard_tables import (
    read_data,
    read_experiment,
    read_guarded,
    read_judged,
    read_online,
    read_passed,
    read_refusals,
)
from recsys_assets.platform import Platform
from recsys_assets.registry.promotions import read_newest_decision
from recsys_assets.validation.gate import required_checks
from recsys_assets.validation.stored_weights import serving_weights
from resources.lake import DeltaLake

MEANING = "1"
"""Changes whenever the same readings would give another page."""
READ = (INTERACTION_DAYS, INGESTED_FILES, ONLINE_DAYS, EXPERIMENTS, GUARDRAILS, VERDICTS, BLENDS)
"""Tables whose writing a page follows: each is written after whatever else the page reads of the same kind."""


def read_dashboard(platform: Platform, lake: DeltaLake, instance: dg.DagsterInstance, day: date) -> Dashboard:
    """Everything on the page of a day; where nothing has happened yet, there is nothing on it.

    Args:
        platform: The configuration.
        lake: Holds what came in, what was judged and what was measured.
        instance: Holds the decisions and the publications.
        day: The day; what was known later is left out.
    """
    history = read_history(instance, platform)
    decisions = decisions_until(history, platform, day)
    production = in_production(history, platform, serving_weights(lake, platform, day), day)
    return Dashboard(
        day=day,
        is_replay=platform.last_day is not None,
        families=tuple(platform.families),
        production=production,
        judged=read_judged(lake, platform, day),
        online=read_online(lake, platform, day),
        experiment=read_experiment(lake, day),
        guarded=read_guarded(lake, platform, day),
        gate=Gate(
            refusals=read_refusals(lake, platform, day),
            waiting=waiting(read_passed(lake, platform, day), production, decisions),
            decisions=decisions,
        ),
        data=read_data(lake, platform, day),
        publications=read_publications(instance, platform, day),
    )


def made_of(platform: Platform, lake: DeltaLake, instance: dg.DagsterInstance) -> str:
    """A fingerprint of what the newest page is made of; when it changes, the page is written again."""
    decisions = {family: read_newest_decision(instance, family) for family in platform.families}
    parts = [
        MEANING,
        platform.model_dump_json(),
        [lake.version(table.name) for table in READ],
        {family: None if one is None else one.event_id for family, one in decisions.items()},
        newest_publication(instance),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def waiting(
    passed: Mapping[tuple[str, str], tuple[date, Collection[str]]],
    production: Collection[InProduction],
    decisions: Collection[Decision],
) -> tuple[tuple[str, str], ...]:
    """Of each family the newest version that passed every check and waits for a person, as family and version.

    Args:
        passed: Family and version to its slot, and the checks that it passed.
        production: What serves.
        decisions: What was decided.
    """
    decided = {(one.family, str(number)) for one in decisions for number in (one.version, one.previous)}
    in_use = {one.family: one.slot for one in production}
    newest = {
        family: version
        for (family, version), (slot, checks) in sorted(passed.items(), key=lambda one: (one[1][0], int(one[0][1])))
        if family in in_use and required_checks(family) <= set(checks) and (family, version) not in decided
        if slot > (in_use[family] or date.min)
    }
    return tuple(newest.items())
