"""From a request to the list that is served: the published one, one that is ranked now, or the popular items.

HTTP stays in the routes; what a list looks like on the wire, in `served_lists`.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from recsys_assets.api.explaining import published_sources, ranked_reasons
from recsys_assets.api.live_models import Snapshot
from recsys_assets.api.problems import ProblemError
from recsys_assets.api.real_time import Viewer, ranked
from recsys_assets.api.served_lists import Origin, ServedList
from recsys_assets.api.services import Services
from recsys_assets.api.store_guard import StoreGoneError
from recsys_assets.api.stored_lists import InUse, StoredList
from recsys_assets.api.viewers import NOTHING, Remembered, Session, recall, viewer
from recsys_assets.platform import FALLBACK_FAMILY
from recsys_assets.serving.generations import PublicationError

DEFAULT_SURFACE = "api"
ORIGINS = ("stored", "real_time", "popular", "memory")
"""Where a list comes from, as the metrics name it; memory: the online store could not be asked, or holds none."""
RETRY = {"Retry-After": "2"}


class Answers:
    """Makes the lists that are served.

    Args:
        services: What they are made from.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._origins: tuple[InUse | None, dict[tuple[str, bool], Origin]] = (None, {})
        self._counted = {name: services.metrics.lists.labels(name) for name in ORIGINS}

    async def published(
        self, user_id: str, limit: int, arm: str | None, surface: str | None, *, explains: bool
    ) -> ServedList:
        """The list of a user: the published one; where another arm is asked for, one that is ranked now.

        Raises:
            ProblemError: There is no such arm, or nothing can be served yet.
            OverloadedError: Too many are waiting.
        """
        try:
            stored = await self._services.stored.ask(user_id)
        except (StoreGoneError, PublicationError):
            self._require_arm(arm)
            return self._noted(self._from_memory(user_id, limit, is_degraded=True), surface)
        if arm is not None and (stored is None or arm != stored.arm):
            return await self.ranked_now(user_id, (), arm, limit, surface, explains=explains)
        if stored is None:
            return self._noted(self._from_memory(user_id, limit, is_degraded=False), surface)
        self._counted["stored" if stored.is_own else "popular"].inc()
        served = ServedList(_request_id(), user_id, self._origin(stored), stored.item_ids[:limit])
        if explains:
            served = await self._services.workers.run(self._explained, served)
        return self._noted(served, surface)

    async def ranked_now(
        self,
        user_id: str | None,
        session: Sequence[Session],
        arm: str | None,
        limit: int,
        surface: str | None,
        *,
        explains: bool,
    ) -> ServedList:
        """A list that is ranked now, from a history, or for a user with what they did in this session.

        Raises:
            ProblemError: There is no such arm, or nothing can be served yet.
            OverloadedError: Too many are waiting.
        """
        snapshot = self._services.live.snapshot
        self._require_arm(arm)
        if not snapshot.can_rank:
            return self._noted(self._from_memory(user_id, limit, is_degraded=False), surface)
        served = await self._services.workers.run(
            self._ranked, snapshot, user_id, session, arm, limit, explains=explains
        )
        return self._noted(served, surface)

    def _ranked(
        self,
        snapshot: Snapshot,
        user_id: str | None,
        session: Sequence[Session],
        arm: str | None,
        limit: int,
        *,
        explains: bool,
    ) -> ServedList:
        platform = self._services.platform
        remembered, is_degraded = (NOTHING, False) if user_id is None else self._recalled(user_id)
        whom = viewer(user_id, session, remembered, snapshot, platform, self._services.clock(), arm)
        try:
            found = ranked(snapshot, whom, platform, limit)
        except StoreGoneError:  # between the two times that it was asked
            whom, is_degraded = replace(whom, hidden=None), True
            found = ranked(snapshot, whom, platform, limit)
        self._counted["popular" if found.is_fallback else "real_time"].inc()
        origin = self._live_origin(snapshot, whom, is_fallback=found.is_fallback, is_degraded=is_degraded)
        reasons = ranked_reasons(snapshot, whom, found, platform) if explains else None
        return ServedList(_request_id(), user_id, origin, found.item_ids, found.sources, reasons)

    def _recalled(self, user_id: str) -> tuple[Remembered, bool]:
        """What the online store says of a user, and whether it is gone instead."""
        in_use = self._services.lists.in_use
        try:
            with self._services.guard.asking() as client:
                if in_use is None:
                    return NOTHING, False
                found = recall(client, in_use.generation, user_id)
        except StoreGoneError:
            return NOTHING, True
        hidden = found.hidden

        def guarded(item_ids: list[str]) -> set[str]:
            with self._services.guard.asking():
                return set() if hidden is None else set(hidden(item_ids))

        return replace(found, hidden=guarded), False

    def _explained(self, served: ServedList) -> ServedList:
        """A published list with what brought its items, and why."""
        snapshot, origin = self._services.live.snapshot, served.origin
        sources = (
            [FALLBACK_FAMILY] * len(served.item_ids)
            if origin.is_fallback
            else published_sources(self._services.lake, origin.as_of, served.user_id, served.item_ids)
        )
        remembered, _ = self._recalled(served.user_id or "")
        if not snapshot.can_rank:
            return replace(served, sources=sources, reasons={})
        whom = viewer(served.user_id, (), remembered, snapshot, self._services.platform, self._services.clock())
        explained = replace(served, sources=sources)
        reasons = ranked_reasons(snapshot, whom, explained, self._services.platform, dict(origin.versions))
        return replace(explained, reasons=reasons)

    def _from_memory(self, user_id: str | None, limit: int, *, is_degraded: bool) -> ServedList:
        """The popular items that are in memory, where the online store cannot be asked or holds nothing yet.

        Raises:
            ProblemError: There are none.
        """
        in_use, popular = self._services.lists.in_use, self._services.popular
        if in_use is not None:
            popular = in_use.popular
        if not popular:
            detail = "nothing can be served yet: no list is published, and no model is in memory"
            raise ProblemError(503, "nothing-to-serve", detail, headers=RETRY)
        self._counted["memory"].inc()
        hidden = self._services.overlays.bought_meanwhile(user_id) if user_id is not None else set()
        snapshot = self._services.live.snapshot
        if in_use is not None:
            origin = replace(self._origin(StoredList(in_use, [], is_own=False, arm="")), is_degraded=is_degraded)
        else:
            arm = next(iter(snapshot.arms))
            versions = tuple((name, str(one)) for name, one in snapshot.in_use.items() if name == FALLBACK_FAMILY)
            origin = Origin(None, snapshot.as_of, arm, versions, is_fallback=True, is_degraded=is_degraded)
        items = [item for item in popular if item not in hidden][:limit]
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

    def _noted(self, served: ServedList, surface: str | None) -> ServedList:
        self._services.note_served(served, surface or DEFAULT_SURFACE)
        return served


_PROCESS, _COUNT = secrets.token_hex(8), count()


def _request_id() -> str:
    """A name that no other list has; drawing all of it anew for each would cost more than the rest of a short list."""
    return f"{_PROCESS}{next(_COUNT):08x}"
