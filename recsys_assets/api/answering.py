"""From a request to the list that is served: the published one, one that is ranked now, or the popular items.

HTTP stays in the routes; what a list looks like on the wire, in `served_lists`.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

from recsys_assets.api.explaining import published_sources, ranked_reasons
from recsys_assets.api.live_models import Snapshot
from recsys_assets.api.problems import ProblemError
from recsys_assets.api.real_time import Ranked, Viewer, ranked
from recsys_assets.api.served_lists import Origin, ServedList
from recsys_assets.api.services import Services
from recsys_assets.api.store_guard import StoreGoneError
from recsys_assets.api.stored_lists import NOTHING, InUse, Remembered, StoredList
from recsys_assets.api.viewers import viewer
from recsys_assets.features.lately import owned
from recsys_assets.platform import FALLBACK_FAMILY
from recsys_assets.serving.generation import PublicationError
from recsys_assets.serving.overlay import Overlaid

DEFAULT_SURFACE = "api"
ORIGINS = ("stored", "real_time", "popular", "memory")
"""Where a list comes from, as the metrics name it; memory: the online store could not be asked, or holds none."""
RETRY = {"Retry-After": "2"}


@dataclass(frozen=True)
class Asked:
    """What a request for a list says.

    Attributes:
        user_id: For whom; None: for nobody who is known.
        limit: How many items.
        arm: As this experiment arm has it; None: the user's own.
        surface: Where it will be shown; None: nobody says.
        explains: Whether to say what brought each item.
        session: What the user did; only where a list is to be ranked now.
    """

    user_id: str | None
    limit: int
    arm: str | None
    surface: str | None
    explains: bool
    session: Sequence[Overlaid] = ()


class Answers:
    """Makes the lists that are served.

    Args:
        services: What they are made from.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._origins: tuple[InUse | None, dict[tuple[str, bool], Origin]] = (None, {})
        self._counted = {name: services.metrics.lists.labels(name) for name in ORIGINS}

    async def published(self, user_id: str, asked: Asked) -> ServedList:
        """The list of a user: the published one; without any, or for another arm, one that is ranked now.

        Raises:
            ProblemError: There is no such arm, or nothing can be served yet.
            OverloadedError: Too many are waiting.
        """
        try:
            stored = await self._services.stored.ask(user_id)
        except (StoreGoneError, PublicationError):
            self._require_arm(asked.arm)
            return self._noted(self._from_memory(asked, is_degraded=True), asked)
        if stored is None or asked.arm not in (None, stored.arm):
            return await self.ranked_now(asked)
        self._counted["stored" if stored.is_own else "popular"].inc()
        items = self._without_untold(user_id, stored.item_ids)
        served = ServedList(_request_id(), user_id, self._origin(stored), items[: asked.limit])
        if asked.explains:
            served = await self._services.workers.run(self._explained, user_id, served)
        return self._noted(served, asked)

    async def ranked_now(self, asked: Asked) -> ServedList:
        """A list that is ranked now, from a history, or for a user with what they did in this session.

        Raises:
            ProblemError: There is no such arm, or nothing can be served yet.
            OverloadedError: Too many are waiting.
        """
        self._require_arm(asked.arm)
        snapshot = self._services.live.snapshot
        if not snapshot.can_rank:
            return self._noted(self._from_memory(asked, is_degraded=False), asked)
        return self._noted(await self._services.workers.run(self._ranked, snapshot, asked), asked)

    def _ranked(self, snapshot: Snapshot, asked: Asked) -> ServedList:
        services, user_id = self._services, asked.user_id
        remembered, is_degraded = (NOTHING, False) if user_id is None else self._recalled(user_id)

        def ranked_with(remembered: Remembered) -> tuple[Viewer, Ranked]:
            now = services.clock()
            whom = viewer(user_id, asked.session, remembered, snapshot, services.platform, now, asked.arm)
            return whom, ranked(snapshot, whom, services.platform, asked.limit)

        try:
            whom, found = ranked_with(remembered)
        except StoreGoneError:  # since it was asked first
            whom, found = ranked_with(replace(remembered, hidden=None))
            is_degraded = True
        self._counted["popular" if found.is_fallback else "real_time"].inc()
        origin = self._live_origin(snapshot, whom, is_fallback=found.is_fallback, is_degraded=is_degraded)
        reasons = ranked_reasons(snapshot, whom, found, services.platform) if asked.explains else None
        return ServedList(_request_id(), user_id, origin, found.item_ids, found.sources, reasons)

    def _recalled(self, user_id: str) -> tuple[Remembered, bool]:
        """What is known of a user, and whether the online store could not be asked about them."""
        untold = self._services.overlays.untold(user_id)
        try:
            remembered = self._services.lists.recall(user_id)
        except (StoreGoneError, PublicationError):
            return replace(NOTHING, overlay=untold), True
        return replace(remembered, overlay=[*remembered.overlay, *untold]), False

    def _without_untold(self, user_id: str, item_ids: list[str]) -> list[str]:
        """A list without what was bought and the online store does not know yet."""
        hidden = owned(self._services.overlays.untold(user_id), self._services.platform.rules)
        return [item for item in item_ids if item not in hidden] if hidden else item_ids

    def _explained(self, user_id: str, served: ServedList) -> ServedList:
        """A published list with what brought its items, and why."""
        services, origin = self._services, served.origin
        sources = [FALLBACK_FAMILY] * len(served.item_ids)
        if not origin.is_fallback:
            sources = published_sources(services.lake, origin.as_of, user_id, served.item_ids)
        explained, snapshot = replace(served, sources=sources), services.live.snapshot
        if not snapshot.can_rank:
            return replace(explained, reasons={})
        remembered = replace(self._recalled(user_id)[0], hidden=None)  # what is on the list is not hidden
        whom = viewer(user_id, (), remembered, snapshot, services.platform, services.clock())
        return replace(
            explained, reasons=ranked_reasons(snapshot, whom, explained, services.platform, dict(origin.versions))
        )

    def _from_memory(self, asked: Asked, *, is_degraded: bool) -> ServedList:
        """The popular items that are in memory, where the online store cannot be asked or holds nothing yet.

        Raises:
            ProblemError: There are none.
        """
        in_use, popular = self._services.lists.in_use, self._services.popular
        if in_use is not None:
            popular = in_use.popular
        if not popular:
            raise nothing_to_serve()
        self._counted["memory"].inc()
        snapshot = self._services.live.snapshot
        if in_use is not None:
            origin = replace(self._origin(StoredList(in_use, [], is_own=False, arm="")), is_degraded=is_degraded)
        else:
            arm = next(iter(snapshot.arms))
            versions = tuple((name, str(one)) for name, one in snapshot.in_use.items() if name == FALLBACK_FAMILY)
            origin = Origin(None, snapshot.as_of, arm, versions, is_fallback=True, is_degraded=is_degraded)
        user_id = asked.user_id
        items = (popular if user_id is None else self._without_untold(user_id, popular))[: asked.limit]
        return ServedList(_request_id(), user_id, origin, items, [FALLBACK_FAMILY] * len(items))

    def _require_arm(self, arm: str | None) -> None:
        arms = self._services.live.snapshot.arms
        if arm is not None and arm not in arms:
            raise ProblemError(422, "unknown-arm", f"there is no such arm; the arms are {', '.join(arms)}")

    def _origin(self, stored: StoredList) -> Origin:
        """What a published list is made of; the same few for a whole generation."""
        in_use, known = self._origins
        if in_use is not stored.in_use:
            known = {}
            self._origins = (stored.in_use, known)
        key = (stored.arm, stored.is_own)
        if key not in known:
            generation = stored.in_use.generation
            arm = stored.arm or next(iter(generation.arms))
            versions = tuple(sorted(generation.versions_of(arm).items()))
            is_fallback = not stored.is_own
            known[key] = Origin(generation.name, generation.as_of, arm, versions, is_fallback, is_degraded=False)
        return known[key]

    def _live_origin(self, snapshot: Snapshot, whom: Viewer, *, is_fallback: bool, is_degraded: bool) -> Origin:
        models = snapshot.models_of(whom.arm)
        versions = tuple(sorted((family, str(live.version.version)) for family, live in models.items()))
        return Origin(None, snapshot.as_of, whom.arm, versions, is_fallback, is_degraded)

    def _noted(self, served: ServedList, asked: Asked) -> ServedList:
        self._services.note_served(served, asked.surface or DEFAULT_SURFACE)
        return served


def nothing_to_serve() -> ProblemError:
    """What to answer while there is nothing."""
    detail = "nothing can be served yet: no list is published, and no model is in memory"
    return ProblemError(503, "nothing-to-serve", detail, headers=RETRY)


_PROCESS, _COUNT = secrets.token_hex(8), count()


def _request_id() -> str:
    """A name that no other list has; drawing all of it anew for each would cost more than the rest of a short list."""
    return f"{_PROCESS}{next(_COUNT):08x}"
