"""`/v1/users/{user_id}/recommendations`, `/v1/recommendations` and `/v1/items/{item_id}/similar`."""

from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field, create_model
from starlette.convertors import Convertor, register_url_convertor

from recsys_assets.api.answering import Answers, Asked, nothing_to_serve
from recsys_assets.api.problems import ProblemError, problems
from recsys_assets.api.quick_route import quick_route
from recsys_assets.api.schemas import LONGEST_ID, RankRequest, Recommendations, Recommended, SimilarItems, Whole
from recsys_assets.api.served_lists import ServedList, as_json
from recsys_assets.api.services import Services
from recsys_assets.api.similar import similar_items
from recsys_assets.serving.overlay import Overlaid

JSON = "application/json"
TAGS: list[str | Enum] = ["recommendations"]
USUAL = 20
"""Items of a list, unless more are asked for."""
UserId = Annotated[
    str, Path(min_length=1, max_length=LONGEST_ID, description="the shop's id of the user", examples=["U000813"])
]
ItemId = Annotated[
    str, Path(min_length=1, max_length=LONGEST_ID, description="the shop's id of the item", examples=["B0000042"])
]


class AnyText(Convertor[str]):
    """An id as part of a path: any text, with slashes and line breaks, which `path` stops at."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """From the address."""
        return value

    def to_string(self, value: str) -> str:
        """To an address."""
        return value


register_url_convertor("any_text", AnyText())
Word = Annotated[str, Query(max_length=LONGEST_ID)]


class ListAsked(BaseModel):
    """What a request for a stored list may say; `limit` is checked by a model made for the longest list."""

    user_id: Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
    limit: int = USUAL
    arm: Annotated[str, Field(max_length=LONGEST_ID)] | None = None
    explain: bool = False
    surface: Annotated[str, Field(max_length=LONGEST_ID)] | None = None


def add_list_routes(router: APIRouter, services: Services) -> None:
    """Add the routes that answer with lists.

    Args:
        router: Of the application itself: routers within routers take time in every request.
        services: What they work with.
    """
    answers = Answers(services)
    longest = services.platform.recommendations.list_length
    usual = min(USUAL, longest)
    _add_stored_lists(router, answers, longest, usual)
    _add_ranked_lists(router, services, answers, longest, usual)
    _add_similar_items(router, services, longest, usual)


def _add_stored_lists(router: APIRouter, answers: Answers, longest: int, usual: int) -> None:
    Limit = Annotated[int, Query(ge=1, le=longest, description="how many items")]  # noqa: N806 - a type

    async def published(asked: Any) -> Response:
        wanted = Asked(asked.user_id, asked.limit, asked.arm, asked.surface, asked.explain)
        return _response(await answers.published(asked.user_id, wanted))

    limited = create_model("Limited", __base__=ListAsked, limit=(int, Field(usual, ge=1, le=longest)))

    async def user_recommendations(
        user_id: UserId,
        limit: Limit = usual,
        arm: Annotated[Word | None, Query(description="as this experiment arm has it; default: the user's own")] = None,
        explain: Annotated[bool, Query(description="say what brought each item; takes longer")] = False,  # noqa: FBT002
        surface: Annotated[Word | None, Query(description="where it is shown, for the impressions")] = None,
    ) -> None:
        """The published list, without what the user has bought since; the popular items for an unknown user.

        Where another experiment arm is asked for than the one that the user's list was made for, it is ranked now.
        """
        # Described here, and answered by `published`: see `quick_route`.

    router.add_api_route(
        "/v1/users/{user_id:any_text}/recommendations",
        user_recommendations,
        response_model=Recommendations,
        responses=problems(422, 503),
        summary="The list of a user",
        tags=TAGS,
        route_class_override=quick_route(limited, published),
    )


def _add_ranked_lists(router: APIRouter, services: Services, answers: Answers, longest: int, usual: int) -> None:
    Limited: Any = create_model(  # noqa: N806 - a type
        "RankRequest", __base__=RankRequest, limit=(Whole, Field(usual, ge=1, le=longest, description="how many items"))
    )

    @router.post(
        "/v1/recommendations",
        tags=TAGS,
        response_model=Recommendations,
        responses=problems(400, 413, 422, 503),
        summary="A list, ranked now",
    )
    async def rank_now(asked: Limited) -> Response:
        """Ranks for a history, or for a user with what they did in this session, by the same models and rules."""
        now, who = services.clock(), asked.user_id or ""
        session = [Overlaid(who, one.item_id, one.event_type, one.occurred_at or now) for one in asked.history]
        wanted = Asked(asked.user_id, asked.limit, asked.arm, asked.surface, asked.explain, session)
        return _response(await answers.ranked_now(wanted))


def _add_similar_items(router: APIRouter, services: Services, longest: int, usual: int) -> None:
    Limit = Annotated[int, Query(ge=1, le=longest, description="how many items")]  # noqa: N806 - a type

    @router.get(
        "/v1/items/{item_id:any_text}/similar",
        tags=TAGS,
        response_model_exclude_none=True,
        responses=problems(404, 422, 503),
        summary="Items like another one",
    )
    async def similar(item_id: ItemId, limit: Limit = usual) -> SimilarItems:
        """What the model with the largest weight would recommend to somebody of whom it knows this item alone."""
        snapshot = services.live.snapshot
        if not snapshot.can_rank:
            raise nothing_to_serve()
        found = await services.workers.run(similar_items, snapshot, item_id, limit)
        if found is None:
            raise ProblemError(404, "unknown-item", "no such item is in the catalogue or known to a model")
        items = [Recommended(item_id=one, rank=rank) for rank, one in enumerate(found.item_ids, 1)]
        return SimilarItems(item_id=item_id, family=found.family, version=found.version, items=items)


def _response(served: ServedList) -> Response:
    return Response(as_json(served), media_type=JSON)
