"""One day of `recommendations/<family>`, some users at a time: who is ranked by which version, and who gets a fallback.

A million histories or lists do not fit into memory at once. The lists come in order of users, so that a reader of some
users can skip the others. How a list is made stays with `rank`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg
import polars as pl

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS, Table, recommendations_table
from recsys_assets.experiments import UnusableVersionError, arms_of, arms_on, require_usable, versions_of_arm
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions
from recsys_assets.models.ranking import RANKED_SCHEMA, Ranker
from recsys_assets.platform import FALLBACK_FAMILY, Platform
from recsys_assets.registry.serving_versions import TRAINED_THROUGH, load_release, version_for_day
from recsys_assets.slot_window import ONE_DAY
from resources.model_registry import ModelRegistry, ModelVersion, RegistryError

PORTION_USERS = 65_536
"""Users whose histories are read at once. Reading those of some looks at the same files as reading those of all."""


NOBODY = pl.DataFrame(schema=RANKED_SCHEMA)


@dataclass(frozen=True)
class Ranking:
    """What ranks for a family on a day, for any users: it needs no lake, so it can be handed to tasks elsewhere.

    Attributes:
        platform: The configuration.
        day: The day up to whose end the histories reach; the lists are served on the day after it.
        versions: Experiment arm to the registry version that ranks for it; empty where none serves the day.
        rankers: Registry version to what ranks by it.
    """

    platform: Platform
    day: date
    versions: Mapping[str, int]
    rankers: Mapping[int, Ranker]

    @property
    def is_personal(self) -> bool:
        """Whether histories are looked at."""
        return any(ranker.model.is_personal for ranker in self.rankers.values())

    def of_arms(
        self, histories: Interactions, users: pl.Series, exclusions: pl.DataFrame
    ) -> Iterator[tuple[int, pl.Series, pl.DataFrame]]:
        """Rank some users, each by the version of their arm.

        Args:
            histories: What the users did, within the family's window.
            users: Whom to rank for, each once.
            exclusions: Their rows of `features/exclusions`.

        Yields:
            The version of an arm, its users, and what `rank` returns for them.
        """
        arms = arms_of(self.platform, users, self.day + ONE_DAY)
        settings = self.platform.recommendations
        for arm, version in self.versions.items():
            mine = users.filter(arms == arm)
            blocks = self.rankers[version].blocks(
                histories, mine, exclusions, n=settings.list_length, block_users=settings.block_users
            )
            yield version, mine, pl.concat([NOBODY, *blocks])


@dataclass(frozen=True)
class FamilyDay:
    """What the lists of a family are made by on a day.

    Attributes:
        store: Features, configuration and the lake.
        family: The family.
        ranking: What ranks.
    """

    store: FeatureStore
    family: ConfiguredFamily
    ranking: Ranking

    @classmethod
    def of(cls, store: FeatureStore, family: ConfiguredFamily, registry: ModelRegistry, day: date) -> "FamilyDay":
        """Look up what serves on a day.

        Raises:
            UnusableVersionError: An experiment arm names a version that is not Approved, or knows later days.
        """
        by_arm = _versions(store, family.name, registry, day)
        eligible = _rows(store, ELIGIBLE_ITEMS, day).collect() if by_arm else pl.DataFrame(schema=ELIGIBLE_ITEMS.schema)
        rankers = {
            one.version: Ranker.of(load_release(registry, family.family, one).model, eligible)
            for one in {one.version: one for one in by_arm.values()}.values()
        }
        versions = {arm: one.version for arm, one in by_arm.items()}
        return cls(store, family, Ranking(store.platform, day, versions, rankers))

    @property
    def day(self) -> date:
        """The day up to whose end the histories reach."""
        return self.ranking.day

    def lists(self) -> Iterator[pl.DataFrame]:
        """Rows of `recommendations/<family>`, in order of users; none where no version serves the day."""
        if not self.ranking.versions:
            return
        users = self._of(EXCLUSIONS).select("user_id").collect()["user_id"].sort()
        if users.is_empty():
            raise nobody_to_rank_for(self.day)
        for portion in users.to_frame().iter_slices(PORTION_USERS):
            yield from self._portion(portion)

    def _portion(self, users: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """The lists of users whose histories are in memory together."""
        histories = self._histories(users["user_id"])
        for block in users.iter_slices(self.store.platform.recommendations.block_users):
            yield self._block(histories, block["user_id"])

    def _histories(self, users: pl.Series) -> Interactions:
        if not self.ranking.is_personal:
            return Interactions(pl.DataFrame(schema=HISTORY_SCHEMA), self.day)
        rows = self.store.history(self.day, self.family.settings.ranked_days, (users[0], users[-1]))
        return Interactions(rows, self.day)

    def _block(self, histories: Interactions, users: pl.Series) -> pl.DataFrame:
        """The lists of some users, sorted; whom the family knows nothing of gets the fallback list."""
        ranked = self.ranking.of_arms(histories, users, self._of(EXCLUSIONS, users).collect())
        parts = [row for version, mine, lists in ranked for row in self._with_fallback(version, mine, lists)]
        return as_rows(parts, self.family.name, self.day)

    def _with_fallback(self, version: int, users: pl.Series, ranked: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """The lists, and the fallback's of the other users."""
        yield marked(ranked, version, is_fallback=False)
        if self.family.name == FALLBACK_FAMILY or ranked.height == users.len():
            return
        others = without_list(users, ranked)
        popular = self._of(recommendations_table(FALLBACK_FAMILY), others)
        popular = popular.filter(pl.col("user_id").is_in(others.implode()))
        yield marked(popular.select(RANKED_SCHEMA.names()).collect(), version, is_fallback=True)

    def _of(self, table: Table, users: pl.Series | None = None) -> pl.LazyFrame:
        """The rows of the day, of everybody or of a range of users."""
        rows = _rows(self.store, table, self.day)
        if users is None:
            return rows
        return rows.filter(pl.col("user_id").is_between(pl.lit(users.min()), pl.lit(users.max())))


def marked(lists: pl.DataFrame, version: int, *, is_fallback: bool) -> pl.DataFrame:
    """Lists with the version that stands beside them, and whether they are the fallback's."""
    return lists.with_columns(version=pl.lit(str(version)), is_fallback=pl.lit(is_fallback))


def without_list(users: pl.Series, ranked: pl.DataFrame) -> pl.Series:
    """The users of whom a family knows nothing."""
    return users.to_frame("user_id").join(ranked, on="user_id", how="anti")["user_id"]


def as_rows(parts: Sequence[pl.DataFrame], family: str, day: date) -> pl.DataFrame:
    """Rows of `recommendations/<family>`, sorted, from lists that `marked` has marked."""
    columns = recommendations_table(family).schema.names()
    return pl.concat(parts).with_columns(ds=pl.lit(day)).select(columns).sort("user_id")


def nobody_to_rank_for(day: date) -> dg.Failure:
    """What to say where a day has no exclusions, which have a row for everybody."""
    return dg.Failure(f"features/exclusions holds nobody as of {day}; materialize the features of the day first")


def _rows(store: FeatureStore, table: Table, day: date) -> pl.LazyFrame:
    return store.lake.scan(table, (day, day))


def _versions(store: FeatureStore, family: str, registry: ModelRegistry, day: date) -> dict[str, ModelVersion]:
    """Experiment arm to the version that ranks for it."""
    in_use = version_for_day(registry, family, day)
    if in_use is None:
        return {}
    arms = arms_on(store.platform, day + ONE_DAY)

    def status_of(family: str, number: int) -> str | None:
        try:
            return registry.version(family, number).status
        except RegistryError:
            return None

    require_usable(arms, status_of)
    numbers = {name: versions_of_arm(arm, {family: in_use.version})[family] for name, arm in arms.items()}
    versions = {number: registry.version(family, number) for number in set(numbers.values())}
    for number, version in versions.items():
        through = date.fromisoformat(version.tags[TRAINED_THROUGH])
        if through > day:
            raise UnusableVersionError(
                f"version {number} of {family} has seen days up to {through}, so it must not rank for {day}; name an "
                "older one in the arm, or make no lists of days before the experiment"
            )
    return {name: versions[number] for name, number in numbers.items()}
