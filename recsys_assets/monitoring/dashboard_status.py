"""What on the page of a day is well, what is worth a look, and what somebody has to act on. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from recsys_assets.columns import POOLED
from recsys_assets.look import day as written_day
from recsys_assets.look import percent
from recsys_assets.monitoring.arm_comparison import MISMATCH_BELOW
from recsys_assets.monitoring.dashboard_data import FIGURE_WORDS, Dashboard, Intake, Judged
from recsys_assets.platform import FALLBACK_FAMILY

Level = Literal["ok", "look", "act"]
Section = Literal["production", "offline", "online", "experiment", "guardrails", "gate", "data", "publication"]
LEVELS: tuple[Level, ...] = ("act", "look", "ok")
"""The most urgent first."""
OLD_DAYS, TOO_OLD_DAYS = 10, 21
"""Days since a version last saw data; slots are days apart, so a few are usual."""
SILENT_DAYS = 2
"""Days without any impression, after there were some."""
SET_ASIDE_SHARE = 0.05
REJECTED_SHARE, TIMES_USUAL = 0.01, 3
"""A day's rejected rows are unusual above this share, where that is so many times the usual one."""
RECENT_DAYS = 7
REFUSED_SLOTS = 3
"""So many slots in a row that brought a family nothing."""
FEWER_LISTS = 0.8


@dataclass(frozen=True)
class Finding:
    """Something about a section of the page.

    Attributes:
        section: Which section.
        level: ok, look or act.
        sentence: What is so.
        remedy: What to do about it; empty where nothing is to be done.
    """

    section: Section
    level: Level
    sentence: str
    remedy: str = ""


def findings_of(page: Dashboard) -> tuple[Finding, ...]:
    """Everything to be said, the most urgent first, and in the order of the sections; at least one for each section.

    Args:
        page: What stands on the page.
    """
    found = [
        finding
        for judge in (_production, _offline, _online, _experiment, _guardrails, _gate, _data, _publication)
        for finding in judge(page)
    ]
    return tuple(sorted(found, key=lambda one: LEVELS.index(one.level)))


def overall(findings: tuple[Finding, ...]) -> Level:
    """The most urgent level."""
    return next(level for level in LEVELS if any(one.level == level for one in findings) or level == "ok")


def _production(page: Dashboard) -> Iterator[Finding]:
    serving = [one for one in page.production if one.version is not None]
    if not serving:
        sentence = "No version is approved, so nobody gets recommendations."
        remedy = "`recsys models` says what was refused and why; before the first slot there is nothing to do but wait."
        yield Finding("production", "act", sentence, remedy)
        return
    missing = [one.family for one in page.production if one.version is None]
    if missing:
        level: Level = "act" if FALLBACK_FAMILY in missing else "look"
        sentence = f"No version of {_together(missing)} is approved; the other families serve without."
        remedy = "See what the gate says of its newest versions."
        if level == "act":
            sentence = f"No version of {FALLBACK_FAMILY} is approved, so no new lists can be published."
        yield Finding("production", level, sentence, remedy)
    old = [one for one in serving if (one.days_behind or 0) > OLD_DAYS]
    for one in old:
        level = "act" if (one.days_behind or 0) > TOO_OLD_DAYS else "look"
        sentence = f"{one.family} version {one.version} last saw data {one.days_behind} days ago."
        yield Finding("production", level, sentence, "See whether newer slots are trained, and what the gate refused.")
    if not missing and not old:
        newest = max(one.days_behind or 0 for one in serving)
        sentence = f"Every family serves an approved version; the oldest last saw data {_days_ago(newest)}."
        yield Finding("production", "ok", sentence)


def _offline(page: Dashboard) -> Iterator[Finding]:
    if not page.judged:
        sentence = "No slot has been judged yet, so nothing is known of how well lists are ranked."
        yield Finding("offline", "look", sentence, "Training begins with the first slot that has enough days.")
        return
    fallen = [name for name in (*page.families, POOLED) if _has_fallen([j for j in page.judged if j.family == name])]
    if fallen:
        whose = _together([_called(name) for name in fallen])
        sentence = f"NDCG at 10 of {whose} is clearly lower in the newest slot than in the one before."
        yield Finding("offline", "look", sentence, "Compare the versions with `recsys models --diff FAMILY V1 V2`.")
    if not fallen:
        newest = max(one.slot for one in page.judged)
        yield Finding("offline", "ok", f"Nothing ranks clearly worse in the slot of {written_day(newest)} than before.")


def _has_fallen(reports: list[Judged]) -> bool:
    """Whether the intervals of the two newest slots lie apart."""
    newest = {one.slot: one.ndcg for one in reports if one.ndcg is not None}
    last_two = [newest[slot] for slot in sorted(newest)][-2:]
    if len(last_two) < 2:  # noqa: PLR2004 - a comparison
        return False
    before, now = last_two
    return before.low is not None and now.high is not None and now.high < before.low


def _online(page: Dashboard) -> Iterator[Finding]:
    online = page.online
    if not online.rows:
        if online.is_fed:
            sentence = "Nothing was shown to users in the last four weeks, so nothing is known of how lists do."
            yield Finding("online", "look", sentence, "See whether the shop still logs what it shows.")
        else:
            sentence = "What users do with the lists is not measured, because nothing tells what they are shown."
            yield Finding("online", "ok", sentence, "Map `impressions` in recsys.yaml, or serve lists by the API.")
        return
    newest = max(row.day for row in online.rows)
    silent = (page.day - newest).days
    if silent >= SILENT_DAYS:
        sentence = f"No impressions have come since {written_day(newest)}, {silent} days ago."
        yield Finding("online", "act", sentence, "See whether the shop still logs what it shows.")
    aside = sum((online.set_aside or {}).values())
    share = aside / max(online.impressions, 1)
    if share > SET_ASIDE_SHARE:
        reasons = _together([reason.replace("_", " ") for reason in online.set_aside or {}])
        sentence = f"{percent(share)} of the impressions of {written_day(newest)} count for nothing: {reasons}."
        yield Finding("online", "look", sentence, "Impressions must name a family and a version that the registry has.")
    if silent < SILENT_DAYS and share <= SET_ASIDE_SHARE:
        whole = online.newest[0]
        ctr = whole.figures.get("ctr")
        clicked = "" if ctr is None else f", {percent(ctr.value)} of them clicked"
        yield Finding("online", "ok", f"{whole.impressions:,} items were shown on {written_day(newest)}{clicked}.")


def _experiment(page: Dashboard) -> Iterator[Finding]:
    state = page.experiment
    if state is None:
        yield Finding("experiment", "ok", "No experiment runs.")
        return
    if state.mismatch < MISMATCH_BELOW:
        sentence = f"The arms of {state.name} do not hold the users that they should; none of its figures can be used."
        yield Finding(
            "experiment", "act", sentence, "Find out why before looking at any difference: see who is served."
        )
        return
    certain = [one for one in state.figures if one.verdict in ("higher", "lower")]
    if certain:
        differences = _together([f"{FIGURE_WORDS[one.metric]} of {one.arm} is {one.verdict}" for one in certain])
        remedy = f"`recsys experiment {state.name}` says more; decide, and end it."
        yield Finding("experiment", "look", f"Certain by now in {state.name}: {differences}.", remedy)
    else:
        yield Finding("experiment", "ok", f"{state.name} runs; no difference between its arms is certain yet.")


def _guardrails(page: Dashboard) -> Iterator[Finding]:
    since = page.day - timedelta(days=RECENT_DAYS - 1)
    taken = [one for one in page.gate.decisions if one.kind == "rollback" and one.is_by_guardrail]
    recent = [one for one in taken if one.known >= since]
    for decision in recent:
        sentence = (
            f"The guardrail took {decision.family} version {decision.previous} back on "
            f"{written_day(decision.known)}; version {decision.version} serves."
        )
        yield Finding("guardrails", "look", sentence, "Find out what was wrong with it; nothing has to be undone.")
    over = {(one.family, str(one.previous)) for one in taken}
    below = [one for one in page.guarded if one.state == "below" and (one.family, one.version) not in over]
    for guarded in below:
        remedy = (
            f"The version before it is put back by itself; if not, `recsys rollback {guarded.family} --reason ...`."
            if guarded.action == "rollback"
            else f"`recsys rollback {guarded.family} --reason ...` puts the version before it back."
        )
        lost = f"lost more of its {FIGURE_WORDS[guarded.metric]} than allowed"
        sentence = f"{guarded.family} version {guarded.version} has certainly {lost}."
        yield Finding("guardrails", "act", sentence, remedy)
    doubtful = [one for one in page.guarded if one.is_in_question and one.state != "below"]
    for guarded in doubtful:
        sentence = f"{guarded.family} version {guarded.version} may be doing worse; that is not certain yet."
        yield Finding("guardrails", "look", sentence, "Wait for more days, or go back at once if you know why.")
    if not recent and not below and not doubtful:
        inside = "Every guarded family is inside its range, or it is too early to say."
        yield Finding("guardrails", "ok", inside if page.guarded else "No family is guarded.")


def _gate(page: Dashboard) -> Iterator[Finding]:
    for family, version in page.gate.waiting:
        sentence = f"{family} version {version} has passed the gate and waits for a person."
        yield Finding("gate", "look", sentence, f"`recsys approve {family} {version} --reason ...`, or reject it.")
    newest = max((one.slot for one in page.judged), default=None)
    refused = [one.family for one in page.gate.refusals if one.slot == newest]
    stuck = [family for family in refused if _slots_refused(page, family) >= REFUSED_SLOTS]
    for family in stuck:
        sentence = f"{family} was refused in {_slots_refused(page, family)} slots in a row."
        yield Finding(
            "gate", "act", sentence, "Its reasons are below: mend the model or the data, or correct its gate."
        )
    others = [family for family in dict.fromkeys(refused) if family not in stuck]
    if others and newest is not None:
        sentence = f"The gate refused {_together(others)} in the slot of {written_day(newest)}."
        yield Finding("gate", "look", sentence, "What served before still does; the reasons are below.")
    if not page.gate.waiting and not refused:
        passed = "Nothing has been judged yet." if newest is None else "The newest slot passed, and nothing waits."
        yield Finding("gate", "ok", passed)


def _slots_refused(page: Dashboard, family: str) -> int:
    """How many of a family's newest slots brought nothing but refusals."""
    passed: dict[date, bool] = {}
    for one in page.judged:
        if one.family == family:
            passed[one.slot] = passed.get(one.slot, False) or bool(one.is_passed)
    slots = sorted(passed, reverse=True)
    return next((place for place, slot in enumerate(slots) if passed[slot]), len(slots))


def _data(page: Dashboard) -> Iterator[Finding]:
    data, well = page.data, True
    if data.missing:
        well = False
        named = _together([written_day(one) for one in data.missing[-3:]])
        more = f", and {len(data.missing) - 3} more" if len(data.missing) > 3 else ""  # noqa: PLR2004
        sentence = f"Days are missing in the lake: {named}{more}."
        yield Finding("data", "act", sentence, "`recsys doctor` reads their files; `recsys run` takes them in.")
    for table in data.tables:
        if table.is_daily and not table.accepted:
            well = False
            sentence = (
                f"No row of {table.table} came for {written_day(page.day)}, and there were some on every day before."
            )
            level: Level = "act" if table.table == "events" else "look"
            yield Finding("data", level, sentence, "See whether the shop still delivers the file.")
        elif _rejects_more(table):
            well = False
            usual = "" if table.usual_rejected is None else f", usually {percent(table.usual_rejected)}"
            sentence = f"{percent(table.rejected_share)} of the rows of {table.table} were set aside{usual}."
            remedy = f"`recsys rejected --day {page.day}` says which rows, and what to do about each reason."
            yield Finding("data", "look", sentence, remedy)
    if well:
        rows = sum(table.accepted for table in data.tables)
        yield Finding("data", "ok", f"{rows:,} rows came in for {written_day(page.day)}, and no day is missing.")


def _rejects_more(table: Intake) -> bool:
    return table.rejected_share > max(REJECTED_SHARE, TIMES_USUAL * (table.usual_rejected or 0.0))


def _publication(page: Dashboard) -> Iterator[Finding]:
    if not page.publications:
        due = any(one.version is not None for one in page.production)
        remedy = "`recsys run` publishes; `recsys doctor` says whether the online store answers." if due else ""
        yield Finding("publication", "act" if due else "look", "No lists have been published yet.", remedy)
        return
    newest, *older = page.publications
    behind = (page.day - newest.as_of).days
    if behind > 1:
        sentence = f"The newest lists know nothing of the last {behind} days."
        yield Finding(
            "publication", "act", sentence, "`recsys run` publishes; `recsys doctor` says what is in the way."
        )
    elif behind:
        sentence = "The lists of this day are not published; those of the day before serve."
        yield Finding("publication", "look", sentence, "Where nothing is under way, `recsys run` publishes them.")
    elif older and newest.lists < FEWER_LISTS * older[0].lists:
        sentence = f"{newest.lists:,} users have a list, {older[0].lists:,} had one in the publication before."
        yield Finding(
            "publication", "look", sentence, "`recsys generations` shows both, and goes back to the other one."
        )
    else:
        sentence = f"{newest.lists:,} users have a list that knows {written_day(newest.as_of)}."
        yield Finding("publication", "ok", sentence)


def _called(family: str) -> str:
    return "the final lists" if family == POOLED else family


def _days_ago(days: int) -> str:
    return {0: "on this very day", 1: "the day before"}.get(days, f"{days} days ago")


def _together(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
