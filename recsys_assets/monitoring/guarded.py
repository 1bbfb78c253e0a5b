"""Every version that a guardrail watches, judged from what is stored. The statistics are in `guardrail`."""

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl

from recsys_assets.columns import GUARDRAILS, ONLINE_METRICS, USER_OUTCOMES
from recsys_assets.experiments import running_experiment
from recsys_assets.exposure import Guardrail
from recsys_assets.monitoring.arm_comparison import NOBODY, Difference, difference, estimates
from recsys_assets.monitoring.family_days import Stretch, final_days
from recsys_assets.monitoring.guardrail import Judgement, judge, stretch_of
from recsys_assets.platform import Platform
from resources.lake import DeltaLake


def judgements(lake: DeltaLake, platform: Platform, family: str, day: date) -> list[Judgement]:
    """Judge every version of a family that served on its newest day up to `day`, by its guardrail.

    Args:
        lake: Holds the online metrics, and the outcomes of users.
        platform: The configuration; the family has a guardrail.
        family: The family.
        day: Later days are not looked at, nor those to which clicks and purchases may still come.

    Returns:
        One for each version, in the order of their names; none where there is nothing to judge.
    """
    guardrail = platform.guardrails[family]
    first = day - timedelta(2 * guardrail.trailing_days)
    rows = final_days(lake.scan(ONLINE_METRICS, (first, day)).collect(), day)
    versions = rows.filter(pl.col("family") == family)["version"].unique().drop_nulls().sort()
    found = []
    for version in versions:
        stretch = stretch_of(rows, family, version, guardrail)
        if stretch is not None:
            arms = against_other_arms(lake, platform, family, version, guardrail, stretch)
            found.append(judge(rows, family, version, guardrail, stretch, arms))
    return found


def as_rows(found: Sequence[Judgement], day: date) -> pl.DataFrame:
    """Judgements as rows of `monitoring/guardrails`.

    Args:
        found: The judgements.
        day: The day that they are of.
    """
    rows = [
        {
            "ds": day,
            "family": one.family,
            "version": one.version,
            "metric": one.metric,
            "state": one.state,
            "is_in_question": one.is_in_question,
            "change": None if one.fall is None else one.fall.change,
            "change_low": None if one.fall is None or one.fall.interval is None else one.fall.interval[0],
            "change_high": None if one.fall is None or one.fall.interval is None else one.fall.interval[1],
            "sentence": one.sentence,
        }
        for one in found
    ]
    return pl.DataFrame(rows, schema=GUARDRAILS.schema)


def against_other_arms(
    lake: DeltaLake, platform: Platform, family: str, version: str, guardrail: Guardrail, stretch: Stretch
) -> Difference | None:
    """The users of the arms that get a version, against those of the arms that get another one at the same time.

    Args:
        lake: Holds the outcomes of users.
        platform: The configuration.
        family: The family.
        version: The version.
        guardrail: Which metric, and alpha, of which this comparison gets one half.
        stretch: The days that the version is judged on.

    Returns:
        None where no experiment runs, or where it gives this version to every arm.
    """
    running = running_experiment(platform, stretch.until)
    if running is None:
        return None
    experiment = platform.experiments[running]
    days = (max(stretch.since, experiment.first_day), stretch.until)
    in_arms = pl.col("arm").is_in(list(experiment.arms))
    outcomes = lake.scan(USER_OUTCOMES, days).filter(pl.col("family") == family, in_arms)
    is_own = pl.col("version") == version
    owned = outcomes.filter(is_own).select("arm").unique().collect()["arm"]
    has_it = pl.col("arm").is_in(owned.implode())
    group = pl.when(has_it).then(pl.lit("own")).otherwise(pl.lit("other"))
    found = estimates(outcomes.filter(is_own | ~has_it).with_columns(group=group), "group", guardrail.metric)
    if "other" not in found:
        return None
    return difference(found["other"], found.get("own", NOBODY), guardrail.alpha / 2)
