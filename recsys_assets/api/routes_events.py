"""`/v1/events`: what users did and saw, durable and seen by the next list before it is answered."""

from collections.abc import Iterator
from datetime import UTC, datetime

from fastapi import APIRouter

from recsys_assets.api.event_log import Entry, EventLogError
from recsys_assets.api.landing_day import IMPRESSION_KEY, KEY_SEPARATOR
from recsys_assets.api.problems import ProblemError, problems
from recsys_assets.api.schemas import Accepted, Event, Impression, PostedEvents, Refused
from recsys_assets.api.services import Posted, Services
from recsys_assets.serving.overlay import Overlaid

RETRY = {"Retry-After": "5"}


def add_event_routes(router: APIRouter, services: Services) -> None:
    """Add the route that takes events.

    Args:
        router: Of the application itself.
        services: What it works with.
    """

    @router.post(
        "/v1/events", tags=["events"], responses=problems(400, 413, 422, 503), summary="Tell what users did and saw"
    )
    async def post_events(posted: PostedEvents) -> Accepted:
        """Stores events for good, hides what was bought from the user's lists at once, and lands them with their day.

        An event counts once, however often it is sent under its `event_id`: a request without an answer is simply sent
        again. A day takes events until some minutes after it has ended.
        """
        entries = [*map(_event, posted.events), *map(_impression, posted.impressions)]
        if not entries:
            return Accepted(accepted=0, refused=[])
        try:
            answers = await services.accepted.ask(Posted(entries, [*map(_deed, posted.events)]))
        except EventLogError as error:
            raise ProblemError(503, "not-stored", f"{error}; send them again", headers=RETRY) from error
        for answer in set(answers):
            services.metrics.events.labels(answer).inc(answers.count(answer))
        return Accepted(
            accepted=answers.count("accepted"),
            refused=[
                Refused(place=place, reason=answer)
                for place, answer in zip(_places(posted), answers, strict=True)
                if answer != "accepted"
            ],
        )


def _places(posted: PostedEvents) -> Iterator[str]:
    yield from (f"events/{place}" for place in range(len(posted.events)))
    yield from (f"impressions/{place}" for place in range(len(posted.impressions)))


def _event(event: Event) -> Entry:
    in_utc = event.model_copy(update={"occurred_at": _utc(event.occurred_at)})
    return Entry("events", event.event_id, in_utc.occurred_at, in_utc.model_dump_json().encode())


def _impression(impression: Impression) -> Entry:
    in_utc = impression.model_copy(update={"shown_at": _utc(impression.shown_at)})
    key = KEY_SEPARATOR.join(str(getattr(impression, name)) for name in IMPRESSION_KEY)
    return Entry("impressions", key, in_utc.shown_at, in_utc.model_dump_json().encode())


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # the first or the last day that there is; it is refused later
        return moment.replace(tzinfo=UTC)


def _deed(event: Event) -> Overlaid:
    return Overlaid(event.user_id, event.item_id, event.event_type, _utc(event.occurred_at))
