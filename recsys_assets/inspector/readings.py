"""What the pages read: what serves, the lake as of its day, and the models behind the lists.

What is dear and does not change (a version's model, the catalogue of a day) is kept in memory. What the pages make
of it stays out.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import polars as pl

from recsys_assets.columns import ELIGIBLE_ITEMS, FINAL_RECOMMENDATIONS, ITEMS, Table
from recsys_assets.features.lately import owned
from recsys_assets.features.store import FeatureStore
from recsys_assets.inspector.catalogue import Catalogue
from recsys_assets.inspector.one_user import seen_through
from recsys_assets.models.artifact import Artifact, ArtifactError
from recsys_assets.models.catalogue import configured_families
from recsys_assets.models.family import Interactions
from recsys_assets.registry.serving_versions import load_release
from recsys_assets.serving.generation import Generation
from recsys_assets.serving.generations import PublicationError, current, read_list
from recsys_assets.serving.overlay import Overlaid, is_since, remembered
from resources.model_registry import ModelRegistry, RegistryError
from resources.online_store import STORE_ERRORS as CLIENT_ERRORS
from resources.online_store import Client, OnlineStoreError

HUES = 6
KEPT_MODELS = 16
KEPT_DAYS = 2
"""The day in use, and the one before while a publication switches."""
STORE_ERRORS = (OnlineStoreError, PublicationError, *CLIENT_ERRORS)
MODEL_ERRORS = (ArtifactError, RegistryError)


@dataclass(frozen=True)
class InUse:
    """What serves at the moment.

    Attributes:
        as_of: The last day that the lists know; None before the first lists were computed.
        generation: What is published; None where nothing is, or where the online store does not answer.
        trouble: Why the online store could not be asked; empty where it could.
    """

    as_of: date | None
    generation: Generation | None
    trouble: str = ""


@dataclass(frozen=True)
class Served:
    """What the online store gives a user.

    Attributes:
        in_use: From which generation.
        item_ids: The list as it was published, best first.
        is_own: Whether the list is the user's own; if not, it is the one for unknown users.
        bought: Items that are left out because the user bought them since.
        since: What the user did since the day that the lists know, oldest first.
    """

    in_use: InUse
    item_ids: tuple[str, ...] = ()
    is_own: bool = False
    bought: frozenset[str] = frozenset()
    since: tuple[Overlaid, ...] = ()


@contextmanager
def answering() -> Iterator[None]:
    """What goes wrong between MLflow and here is one kind of error to the pages, which then do without.

    Raises:
        RegistryError: MLflow does not answer, or answers that it cannot.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise RegistryError(f"the model registry does not answer ({error})") from error


class Readings:
    """Reads an installation, and changes nothing.

    Args:
        store: Features and lists.
        registry: The models.
        connect: Gives a client of the online store; it may raise OnlineStoreError.
    """

    def __init__(self, store: FeatureStore, registry: ModelRegistry, connect: Callable[[], Client]) -> None:
        self.store, self.registry = store, registry
        self.platform, self.lake = store.platform, store.lake
        self.families = configured_families(store.platform)
        self._connect = connect
        self._artifact = lru_cache(maxsize=KEPT_MODELS)(self._load_artifact)
        self._catalogue = lru_cache(maxsize=KEPT_DAYS)(self._read_catalogue)
        self._eligible = lru_cache(maxsize=KEPT_DAYS)(self._read_eligible)

    def in_use(self) -> InUse:
        """What serves; where the online store cannot say it, the newest lists in the lake."""
        try:
            generation = current(self._connect())
        except STORE_ERRORS as error:
            return InUse(self._newest_day(), None, str(error))
        return InUse(self._newest_day(), None) if generation is None else InUse(generation.as_of, generation)

    def served(self, user_id: str) -> Served:
        """What the online store gives a user; nothing where it cannot be asked, or nothing was published."""
        try:
            client = self._connect()
            found, told = read_list(client, user_id), remembered(client, user_id)
        except STORE_ERRORS as error:
            return Served(InUse(self._newest_day(), None, str(error)))
        if found is None:
            return Served(InUse(self._newest_day(), None))
        generation, item_ids, is_own = found
        kept = frozenset(owned(told, self.platform.rules))
        since = tuple(event for event in told if is_since(event, generation.as_of, self.platform.zone))
        return Served(InUse(generation.as_of, generation), tuple(item_ids), is_own, kept, since)

    def of_user(self, table: Table, day: date, user_id: str) -> pl.DataFrame:
        """The rows of a user in the partition of a day."""
        return self.lake.scan(table, (day, day)).filter(pl.col("user_id") == user_id).collect()

    def history(self, user_id: str, day: date) -> Interactions:
        """What a user did, weighted, as far back as any family looks; see `FeatureStore.history`."""
        return Interactions(seen_through(self.store, user_id).history(day, self.history_days), day)

    @property
    def history_days(self) -> int:
        """How many days back any family looks."""
        return max(family.settings.ranked_days for family in self.families.values())

    @property
    def hues(self) -> dict[str, int]:
        """Family to the hue that it has on every page."""
        return {family: place % HUES for place, family in enumerate(self.families)}

    def versions(self, in_use: InUse) -> dict[str, str]:
        """Family to the version in use: that of the generation; without one, the approved one.

        Raises:
            RegistryError: There is no generation, and the registry does not answer.
        """
        if in_use.generation is not None:
            return dict(in_use.generation.versions)
        with answering():
            approved = {family: self.registry.approved(family) for family in self.families}
        return {family: str(one.version) for family, one in approved.items() if one is not None}

    def artifact(self, family: str, version: str) -> Artifact:
        """The release of a version.

        Raises:
            RegistryError: The registry does not have it, or does not answer.
            ArtifactError: It is damaged.
        """
        return self._artifact(family, int(version))

    def catalogue(self, day: date) -> Catalogue:
        """The catalogue as of a day."""
        return self._catalogue(day, self.lake.version(ITEMS.name))

    def eligible(self, day: date) -> pl.DataFrame:
        """Rows of `features/eligible_items` of a day."""
        return self._eligible(day, self.lake.version(ELIGIBLE_ITEMS.name))

    def _load_artifact(self, family: str, version: int) -> Artifact:
        with answering():
            return load_release(self.registry, self.families[family].family, self.registry.version(family, version))

    def _read_catalogue(self, day: date, version: int) -> Catalogue:
        del version  # it is there to read anew what has changed
        return Catalogue(self.store.engine.collect(self.store.known(day).state(ITEMS)))

    def _read_eligible(self, day: date, version: int) -> pl.DataFrame:
        del version
        return self.lake.scan(ELIGIBLE_ITEMS, (day, day)).collect()

    def _newest_day(self) -> date | None:
        return max(self.lake.days(FINAL_RECOMMENDATIONS.name), default=None)
