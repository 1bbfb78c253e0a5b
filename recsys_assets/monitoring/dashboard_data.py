"""What stands on the page of a day, as plain values. Reading it, judging it and drawing it are done elsewhere.

Everything was known at the end of the page's day, but for what somebody did afterwards to bring that day out: training,
decisions, and the publication of its lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from recsys_assets.columns import ONLINE_FIGURES, POOLED

FIGURES = tuple(ONLINE_FIGURES)
"""Names of the online figures, as in `monitoring/online_metrics`."""
FIGURE_WORDS = {
    "ctr": "click-through rate",
    "cvr": "conversion rate",
    "revenue_per_impression": "revenue per impression",
    "ndcg": "NDCG",
    "coverage": "coverage",
}


class Estimate(NamedTuple):
    """A figure with the ends of its 95 % interval, where these are known."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def has_interval(self) -> bool:
        """Whether both ends are known."""
        return self.low is not None and self.high is not None


@dataclass(frozen=True)
class InProduction:
    """A family, and the version of it that serves.

    Attributes:
        family: Which family.
        weight: Its weight in the blend in force.
        version: The registry version; None where none serves, and everything after it too.
        slot: Its training slot.
        seen_through: The last day that it has seen.
        days_behind: Days between that and the day of the page.
        since: When it was put in use.
        by: By whom.
        reason: Why.
    """

    family: str
    weight: float
    version: int | None = None
    slot: date | None = None
    seen_through: date | None = None
    days_behind: int | None = None
    since: datetime | None = None
    by: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Judged:
    """A version, or the blend, as its report found it on days that it had not seen.

    Attributes:
        family: The family, or `final`.
        version: The registry version; of `final`, each family's.
        slot: The training slot.
        users: Holdout users.
        ndcg: NDCG at 10; None without users.
        recall: Recall at 10.
        coverage: Share of the catalogue that was recommended.
        is_passed: Whether the gate let it pass; None of what has no verdicts.
    """

    family: str
    version: str
    slot: date
    users: int
    ndcg: Estimate | None
    recall: float | None
    coverage: float | None
    is_passed: bool | None


@dataclass(frozen=True)
class OnlineRow:
    """A version on one day with real users, over all surfaces and arms.

    Attributes:
        day: The day.
        family: The family, or `final`: whole lists.
        version: The registry version; None of `final`.
        is_final: Whether nothing more can be credited to the day.
        impressions: Items shown.
        users: Known users who were shown them.
        figures: Name of a figure to what it was; those that could not be computed are left out.
    """

    day: date
    family: str
    version: str | None
    is_final: bool
    impressions: int
    users: int
    figures: Mapping[str, Estimate]


@dataclass(frozen=True)
class Online:
    """How what was shown did.

    Attributes:
        rows: By day, family and version, the oldest day first.
        set_aside: Reason to the impressions of the newest measured day that no metric counts.
        impressions: Impressions of that day, with those.
        is_fed: Whether `recsys.yaml` maps impressions, or any have come.
    """

    rows: tuple[OnlineRow, ...] = ()
    set_aside: Mapping[str, int] | None = None
    impressions: int = 0
    is_fed: bool = False

    @property
    def newest(self) -> tuple[OnlineRow, ...]:
        """Rows of the newest measured day, whole lists first."""
        last = max((row.day for row in self.rows), default=None)
        rows = [row for row in self.rows if row.day == last]
        return tuple(sorted(rows, key=lambda row: (row.family != POOLED, row.family, row.version or "")))


@dataclass(frozen=True)
class ArmFigure:
    """A metric of an arm, and how it differs from the control's.

    Attributes:
        arm: The arm.
        share: Its share of the users.
        users: Users who were seen in it alone.
        metric: Which metric.
        value: What it is.
        change: Relative to the control, with the interval that is valid on all days at once; None of the control.
        verdict: higher, lower, open or too few; empty of the control.
    """

    arm: str
    share: float
    users: int
    metric: str
    value: Estimate | None
    change: Estimate | None
    verdict: str


@dataclass(frozen=True)
class ExperimentState:
    """How an experiment stands.

    Attributes:
        name: The experiment.
        day: The last day that is counted.
        figures: By metric and arm, the control first.
        mismatch: p-value of the users per arm, if they were spread by the shares.
        moved_users: Users who were seen in several arms.
    """

    name: str
    day: date
    figures: tuple[ArmFigure, ...]
    mismatch: float
    moved_users: int


@dataclass(frozen=True)
class Guarded:
    """What a guardrail says of a version.

    Attributes:
        family: The family.
        version: The version that was judged; empty where there was nothing to judge.
        metric: The guarded metric.
        state: inside, below or too early.
        is_in_question: Whether it looks as if it were below, which is not certain.
        change: Relative to the days before; None where it is too early to say.
        allowed_drop: How far it may fall.
        action: What follows, alert or rollback.
        sentence: The judgement in words.
        day: The newest day that was judged; None where there was none.
    """

    family: str
    version: str
    metric: str
    state: str
    is_in_question: bool
    change: Estimate | None
    allowed_drop: float
    action: str
    sentence: str
    day: date | None


@dataclass(frozen=True)
class Refusal:
    """A version that the gate refused, and why.

    Attributes:
        family: The family.
        version: The version.
        slot: Its slot.
        sentences: One for each check that it did not pass.
    """

    family: str
    version: str
    slot: date
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """What somebody, or the guardrail, decided on a family.

    Attributes:
        family: The family.
        kind: promotion, rollback, rejection or noticed.
        version: The version that it put in use, or rejected; 0 where none serves any more.
        previous: The version in use until then; 0 for none.
        known: The newest day of the shop that was known.
        by: Who.
        reason: Why.
        is_by_guardrail: Whether the guardrail decided by itself.
    """

    family: str
    kind: str
    version: int
    previous: int
    known: date
    by: str
    reason: str
    is_by_guardrail: bool = False


@dataclass(frozen=True)
class Gate:
    """What the gate said.

    Attributes:
        refusals: The newest first.
        waiting: Versions that passed and wait for a person: family and version.
        decisions: The newest first.
    """

    refusals: tuple[Refusal, ...] = ()
    waiting: tuple[tuple[str, str], ...] = ()
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True)
class Intake:
    """What came in for a table.

    Attributes:
        table: Which table.
        newest: The newest day with an accepted row; None for none.
        accepted: Accepted rows of the page's day.
        rejected: Rows of that day that were set aside.
        usual_rejected: Median of the share that was set aside on the days before; None without such days.
        reasons: Reason to rejected rows of that day, the most frequent first.
        is_daily: Whether it had accepted rows on each of the seven days before.
    """

    table: str
    newest: date | None
    accepted: int
    rejected: int
    usual_rejected: float | None
    reasons: Mapping[str, int]
    is_daily: bool

    @property
    def rejected_share(self) -> float:
        """Share of the day's rows that was set aside."""
        return self.rejected / max(self.accepted + self.rejected, 1)


class IntakeDay(NamedTuple):
    """Events of one day."""

    day: date
    accepted: int
    rejected: int


@dataclass(frozen=True)
class Data:
    """What came in.

    Attributes:
        tables: One for each table that is fed.
        by_day: Events by day, the oldest first.
        missing: Days of the last four weeks that are not in the lake.
    """

    tables: tuple[Intake, ...] = ()
    by_day: tuple[IntakeDay, ...] = ()
    missing: tuple[date, ...] = ()


@dataclass(frozen=True)
class Publication:
    """A generation, as it was published.

    Attributes:
        as_of: The last day that its lists know.
        name: Its name.
        lists: How many users have one.
        versions: Family to the version that ranked, of the first arm.
        at: When.
        seconds: How long it took.
    """

    as_of: date
    name: str
    lists: int
    versions: Mapping[str, str]
    at: datetime
    seconds: float


@dataclass(frozen=True)
class Dashboard:
    """Everything on the page of a day.

    Attributes:
        day: The day.
        is_replay: Whether the configured days lie in the past, so that no newer page is to come by itself.
        families: All families in the order of `recsys.yaml`, which is that of their colours.
        production: One for each family.
        judged: The oldest slot first.
        online: How what was shown did.
        experiment: The running one, or the newest that ran within the last four weeks; None for none.
        guarded: One or more for each guarded family.
        gate: What the gate said, and what was decided.
        data: What came in.
        publications: The newest first.
    """

    day: date
    is_replay: bool
    families: tuple[str, ...]
    production: tuple[InProduction, ...]
    judged: tuple[Judged, ...]
    online: Online
    experiment: ExperimentState | None
    guarded: tuple[Guarded, ...]
    gate: Gate
    data: Data
    publications: tuple[Publication, ...]
