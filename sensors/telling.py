"""Telling the news: what happened since reports began is put into the outbox, and the outbox is delivered.

The sensor and `recsys run` both come here. What is due is decided in `news`, what happened is read in `happenings`,
what is said is in `recsys_assets.monitoring.messages`, and how it is delivered in `resources.notifier`.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from filelock import FileLock, Timeout

from recsys_assets.columns import ONLINE_METRICS
from recsys_assets.monitoring.messages import AlertNews, Clean, Message, about_alert, about_run, about_version
from recsys_assets.monitoring.redaction import secrets_in, without_secrets
from recsys_assets.registry.promotions import Decided, read_decisions
from resources.notifier import Notifier, Tell
from resources.outbox import Letter, write_whole
from sensors.happenings import (
    World,
    judgement,
    news_of_decision,
    news_of_run,
    news_of_version,
    picture_of,
    read_alerts,
    read_failed_runs,
    read_judged,
)
from sensors.news import Beginning, DueVersion, due_decisions, due_runs, due_versions

GUARDED = dg.AssetKey(ONLINE_METRICS.key)
BEGINNING = "beginning.json"
Composed = tuple[Message, bytes]
"""A message with its picture, which may be empty."""


@dataclass(frozen=True)
class News:
    """Something to tell that is not composed yet, because composing asks MLflow.

    Attributes:
        key: What it is about.
        moment: When it happened, in seconds since 1970.
        compose: Makes the message and its picture; None where there is nothing to tell.
    """

    key: str
    moment: float
    compose: Callable[[], Composed | None]


def guardrail_checks(graph: AssetGraph) -> frozenset[dg.AssetCheckKey]:
    """The checks whose failure is told."""
    return frozenset(key for key in graph.asset_check_keys if key.asset_key == GUARDED)


def tell_news(world: World, notifier: Notifier, tell: Tell) -> None:
    """Put what happened into the outbox, each thing once, and deliver what can be delivered.

    Whoever comes while somebody else is telling leaves it to him.

    Args:
        world: What happened.
        notifier: How it is told.
        tell: A log.
    """
    folder = Path(notifier.folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "telling.lock").acquire(timeout=0):
            try:
                _put_news(world, notifier, _beginning(world, folder / BEGINNING))
            finally:  # what waits can be told even where there is no way to read what is new
                notifier.deliver(world.platform.reports.channel, tell)
    except Timeout:
        return


def _beginning(world: World, file: Path) -> Beginning:
    """Where reports began in this home; they begin now where they never have."""
    if not file.exists():
        newest: dict[str, int] = {}
        for one in read_judged(world):
            newest[one.family] = max(one.version, newest.get(one.family, 0))
        write_whole(file, json.dumps(asdict(Beginning(time.time(), newest))).encode())
    return Beginning(**json.loads(file.read_text(encoding="utf-8")))


def _put_news(world: World, notifier: Notifier, beginning: Beginning) -> None:
    """In the order in which things happened: whoever is killed in between goes on with the next."""
    outbox = notifier.outbox
    for news in sorted(_news(world, beginning, outbox.knows), key=lambda one: one.moment):
        composed = news.compose()
        if composed is None:
            outbox.settle(news.key)
            continue
        message, picture = composed
        at = datetime.fromtimestamp(news.moment, tz=UTC).isoformat(timespec="seconds")
        words = (message.text, message.notification, message.markdown, message.blocks)
        outbox.put(Letter(news.key, at, *words, picture, "NDCG at 10 by slot" if picture else ""))


def _news(world: World, beginning: Beginning, is_known: Callable[[str], bool]) -> Iterator[News]:
    """Everything that happened and was not told of yet."""
    clean = partial(without_secrets, secrets=secrets_in(os.environ))
    for due in due_versions(read_judged(world), beginning, is_known):
        moment, run_id = judgement(world, due)
        yield News(due.key, moment, partial(_of_version, world, due, run_id, clean))
    for family in world.platform.families:
        for key, decided in due_decisions(family, read_decisions(world.instance, family), beginning, is_known):
            yield News(key, decided.since, partial(_of_decision, world, family, decided, clean))
    runs = read_failed_runs(world, beginning.since)
    for key, run_id in due_runs(list(runs), is_known):
        yield News(key, runs[run_id].end_time or beginning.since, partial(_of_run, world, runs[run_id], clean))
    for key, moment, alert in read_alerts(world, beginning.since):
        if not is_known(key):
            yield News(key, moment, partial(_of_alert, world, alert, clean))


def _of_version(world: World, due: DueVersion, run_id: str, clean: Clean) -> Composed:
    message = about_version(news_of_version(world, due, run_id), world.places, clean)
    return message, picture_of(world, due.judged.family, due.judged.version)


def _of_decision(world: World, family: str, decided: Decided, clean: Clean) -> Composed:
    message = about_version(news_of_decision(world, family, decided), world.places, clean)
    return message, picture_of(world, family, decided.version)


def _of_run(world: World, record: dg.RunRecord, clean: Clean) -> Composed | None:
    news = news_of_run(world, record.dagster_run)
    return None if news is None else (about_run(news, world.places, clean), b"")


def _of_alert(world: World, alert: AlertNews, clean: Clean) -> Composed:
    return about_alert(alert, world.places, clean), b""
