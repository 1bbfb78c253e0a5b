"""One day of `recommendations/final`, some users at a time: what they are made of is read, composed, and looked at.

A million lists of several families do not fit into memory at once; the lists are stored in order of users, so that a
reader of some users can skip the others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS, FINAL_RECOMMENDATIONS, Table, recommendations_table
from recsys_assets.composing import BlendRule
from recsys_assets.experiments import arms_of, arms_on, versions_of_arm, weights_of_arm
from recsys_assets.exposure import Arm
from recsys_assets.features.assortment import Assortment, assortment_of
from recsys_assets.features.store import FeatureStore
from recsys_assets.inference.checks import Seen, Surroundings, examine
from recsys_assets.models.composition import final_lists
from recsys_assets.platform import FALLBACK_FAMILY
from recsys_assets.registry.serving_versions import version_for_day
from recsys_assets.slot_window import ONE_DAY
from recsys_assets.validation.stored_weights import serving_rule, serving_weights
from recsys_assets.validation.weights import Weights
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

USERS_AT_ONCE = 20_000
SCHEMA = FINAL_RECOMMENDATIONS.schema
Users = tuple[str, str]
"""The first and the last of some users, in the order of their ids."""


@dataclass(frozen=True)
class FinalDay:
    """What the lists of a day are made by.

    Attributes:
        store: Features, lists of the families, configuration.
        day: The day up to whose end the histories reach; its lists are served on the day after it.
        weights: Family to its weight where an arm says nothing of its own.
        rule: The rule of the blend.
        in_use: Family to the registry version that is approved for the day.
    """

    store: FeatureStore
    day: date
    weights: Weights
    rule: BlendRule
    in_use: Mapping[str, int]

    @classmethod
    def of(cls, store: FeatureStore, registry: ModelRegistry, day: date) -> "FinalDay":
        """Look up what serves on a day."""
        platform, lake = store.platform, store.lake
        found = {name: version_for_day(registry, name, day) for name in platform.families}
        in_use = {name: one.version for name, one in found.items() if one is not None}
        return cls(store, day, serving_weights(lake, platform, day), serving_rule(lake, platform, day), in_use)

    @property
    def is_served(self) -> bool:
        """Whether there is anything to make lists of: not before the first approval."""
        return FALLBACK_FAMILY in self.in_use

    @property
    def arms(self) -> dict[str, Arm]:
        """The arms of the experiment that runs when the lists are served."""
        return arms_on(self.store.platform, self.day + ONE_DAY)

    def lists(self) -> Iterator[tuple[pl.DataFrame, Seen]]:
        """Rows of `recommendations/final`, in order of users, and what the checks saw of them."""
        eligible = self._rows(ELIGIBLE_ITEMS)
        composition = self.store.platform.recommendations.composition
        catalogue = self.store.catalogue(self.day)
        length = self.store.platform.recommendations.list_length
        approved = {arm: _as_text(versions_of_arm(one, self.in_use)) for arm, one in self.arms.items()}
        for users in self._blocks():
            exclusions = self._rows(EXCLUSIONS, users)
            assortment = assortment_of(composition, catalogue, eligible, exclusions, self.day)
            lists = self._composed(users, assortment)
            before = _rows(self.store.lake, FINAL_RECOMMENDATIONS, self.day - ONE_DAY, users)
            yield lists, examine(lists, Surroundings(self.day, exclusions, eligible, length, approved, before))

    def _composed(self, users: Users, assortment: Assortment) -> pl.DataFrame:
        """The final lists of some users, each made as their arm says."""
        lists = {name: self._rows(recommendations_table(name), users) for name in self.store.platform.families}
        everybody = lists[FALLBACK_FAMILY]["user_id"].unique().sort()
        arms = arms_of(self.store.platform, everybody, self.day + ONE_DAY)
        parts = [
            self._of_arm(name, arm, _of_users(lists, everybody.filter(arms == name)), assortment)
            for name, arm in self.arms.items()
        ]
        return pl.concat(parts).sort("user_id")

    def _of_arm(self, name: str, arm: Arm, lists: Mapping[str, pl.DataFrame], assortment: Assortment) -> pl.DataFrame:
        recommendations = self.store.platform.recommendations
        composed = final_lists(
            lists,
            weights_of_arm(arm, self.weights),
            FALLBACK_FAMILY,
            recommendations.list_length,
            rule=self.rule,
            composition=recommendations.composition,
            assortment=assortment,
        )
        versions = [
            {"family": family, "version": ", ".join(rows["version"].unique().sort())}
            for family, rows in lists.items()
            if not rows.is_empty()
        ]
        constant = pl.Series("versions", [versions], dtype=SCHEMA["versions"]).new_from_index(0, composed.height)
        return composed.with_columns(constant, ds=pl.lit(self.day), arm=pl.lit(name)).select(SCHEMA.names())

    def _blocks(self) -> Iterator[Users]:
        """Everybody who is to have a list, or has one, in blocks."""
        tables = (EXCLUSIONS, recommendations_table(FALLBACK_FAMILY))
        scans = [self.store.lake.scan(table, (self.day, self.day)).select("user_id") for table in tables]
        users = pl.concat(scans).unique().sort("user_id").collect()["user_id"]
        for first in range(0, users.len(), USERS_AT_ONCE):
            some = users[first : first + USERS_AT_ONCE]
            yield some[0], some[-1]

    def _rows(self, table: Table, users: Users | None = None) -> pl.DataFrame:
        return _rows(self.store.lake, table, self.day, users)


def _rows(lake: DeltaLake, table: Table, day: date, users: Users | None) -> pl.DataFrame:
    """The rows of a day, of everything or of some users."""
    rows = lake.scan(table, (day, day))
    if users is not None:
        first, last = (pl.lit(user) for user in users)  # a mere text would name a column
        rows = rows.filter(pl.col("user_id").is_between(first, last))
    return rows.collect()


def _of_users(lists: Mapping[str, pl.DataFrame], users: pl.Series) -> dict[str, pl.DataFrame]:
    """The lists of some users; each was ranked by the version of the user's arm."""
    mine = users.to_frame("user_id")
    return {name: rows.join(mine, on="user_id", how="semi") for name, rows in lists.items()}


def _as_text(versions: Mapping[str, int]) -> dict[str, str]:
    return {family: str(version) for family, version in versions.items()}
