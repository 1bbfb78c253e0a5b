"""What goes in and comes out, as OpenAPI tells it."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

LONGEST_ID = 256
MOST_HISTORY = 10_000
MOST_EVENTS = 1_000
TEXT = r"^\S(?:[\s\S]*\S)?$"
"""Something, and no blanks around it: ingestion would take them away."""
Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID, pattern=TEXT)]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
Truth = Annotated[bool, Field(strict=True)]
"""What is asked for is not guessed: `false` is no price of 0, and "12" is no number."""
EventType = Literal["view", "cart", "wish", "purchase", "refund", "rating"]


def _only_text(value: object) -> object:
    """A moment is written out; a number might be seconds or milliseconds.

    Raises:
        ValueError: It is no text.
    """
    if not isinstance(value, str):
        raise ValueError("write the moment as text, such as 2026-03-16T09:30:00+09:00")  # noqa: TRY004 - pydantic's way
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_only_text)]


class Asked(BaseModel):
    """Base of what comes in: a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Recommended(BaseModel):
    """One item of a list."""

    item_id: str = Field(description="the shop's id of the item", examples=["B0000042"])
    rank: int = Field(description="place in the list, the first is 1", examples=[1])
    source: str | None = Field(
        None, description="the model family with the largest share in it, or the rule that put it there; with `explain`"
    )
    reason: str | None = Field(
        None,
        description="the item of the user's history that speaks most for it, where the family can tell; with `explain`",
    )


class Recommendations(BaseModel):
    """A list, and what it is made of."""

    request_id: str = Field(description="names this answer in impressions", examples=["5f2b9c1e7a3d4f60"])
    user_id: str | None = Field(description="for whom; null for a history without a user", examples=["U000813"])
    generation: str | None = Field(
        description="the publication that it is from; null for one that was ranked now", examples=["20260315-7"]
    )
    as_of: date | None = Field(description="the last day that the catalogue and the published list know")
    arm: str = Field(description="the experiment arm; `default` while no experiment runs", examples=["default"])
    versions: dict[str, str] = Field(description="model family to registry version", examples=[{"als": "3"}])
    is_fallback: bool = Field(description="whether it says nothing about the user: the popular items")
    is_degraded: bool = Field(
        description="whether the online store does not answer, so that what the user owns or blocked is not known"
    )
    items: list[Recommended] = Field(description="best first; shorter than asked for where fewer may be recommended")


class HistoryItem(Asked):
    """One thing that the user did."""

    item_id: Id = Field(examples=["B0000042"])
    event_type: EventType = Field("purchase", description="what was done with the item")
    occurred_at: Moment | None = Field(None, description="when; default: now")


class RankRequest(Asked):
    """Whom to rank for: a user, a history, or a user with what they did in this session."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {"user_id": "U000813", "history": [{"item_id": "B0000042", "event_type": "view"}], "limit": 10},
                {"history": [{"item_id": "B0000042"}, {"item_id": "B0000007"}]},
            ]
        },
    )

    user_id: Id | None = Field(None, description="adds what the published generation and recent events say of them")
    history: list[HistoryItem] = Field([], max_length=MOST_HISTORY, description="what the user did, in any order")
    arm: Annotated[str, Field(max_length=LONGEST_ID)] | None = Field(
        None, description="rank as for this experiment arm; default: the user's own"
    )
    limit: Whole = Field(20, ge=1, description="how many items")
    explain: Truth = Field(default=False, description="say what brought each item")
    surface: Annotated[str, Field(max_length=LONGEST_ID)] | None = Field(
        None, description="where the list is shown, for the impressions"
    )


class SimilarItems(BaseModel):
    """Items like another one."""

    item_id: str = Field(description="the item that was asked about", examples=["B0000042"])
    family: str | None = Field(description="the model family that says so; null where no model knows the item")
    version: str | None = Field(description="its registry version")
    items: list[Recommended]


class Event(Asked):
    """Something that a user did."""

    event_id: Id = Field(
        description="the shop's name for it: sent again under the same name, it counts once", examples=["order-1001-1"]
    )
    user_id: Id = Field(examples=["U000813"])
    item_id: Id = Field(examples=["B0000042"])
    event_type: EventType
    occurred_at: Moment = Field(description="when it happened", examples=["2026-03-16T09:30:00+09:00"])
    quantity: Whole = Field(1, ge=0, le=1_000_000, description="pieces")
    unit_price: Number | None = Field(None, ge=0, le=1e12, description="price of one piece")


class Impression(Asked):
    """An item that was shown to somebody."""

    request_id: Id = Field(description="the list that it was shown in; with item and position it names the impression")
    user_id: Id | None = Field(None, description="null when unknown")
    item_id: Id
    position: Whole = Field(ge=1, le=100_000, description="place in the list, the first is 1")
    shown_at: Moment
    surface: Id | None = Field(None, description="where it was shown")
    family: Id | None = Field(None, description="the model family that brought it")
    version: Id | None = Field(None, description="the registry version that brought it")
    arm: Id | None = Field(None, description="the experiment arm")
    is_clicked: Truth | None = Field(None, description="null when clicks come as events")
    propensity: Number | None = Field(None, gt=0, le=1, description="probability with which it was shown there")


class PostedEvents(Asked):
    """What users did and saw; up to 1,000 of each."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {
                    "events": [
                        {
                            "event_id": "order-1001-1",
                            "user_id": "U000813",
                            "item_id": "B0000042",
                            "event_type": "purchase",
                            "occurred_at": "2026-03-16T09:30:00+09:00",
                            "unit_price": 9.9,
                        }
                    ]
                }
            ]
        },
    )

    events: list[Event] = Field([], max_length=MOST_EVENTS)
    impressions: list[Impression] = Field([], max_length=MOST_EVENTS)


class Refused(BaseModel):
    """One that was not accepted; sending it again as it is changes nothing."""

    place: str = Field(description="where it stands in the request", examples=["events/0"])
    reason: Literal["wrong_day", "in_the_future"] = Field(
        description="wrong_day: its day has been landed and takes no more; in_the_future: it has not happened yet"
    )


class Accepted(BaseModel):
    """What became of them: accepted ones are durable, and count once however often they are sent."""

    accepted: int = Field(examples=[1])
    refused: list[Refused]


class Component(BaseModel):
    """How a part of the API does."""

    is_well: bool
    detail: str
    since: str = Field(description="since when it has been so", examples=["2026-03-16T00:10:00+00:00"])


class Readiness(BaseModel):
    """Whether lists can be served."""

    status: Literal["ready", "degraded", "unready"] = Field(
        description="degraded: lists are served, but a component is not well; unready: none can be served"
    )
    components: dict[str, Component]


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"
