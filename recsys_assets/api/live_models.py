"""What real time ranks with, held in memory: the releases in use, the catalogue, the weights in force.

All of it is one immutable snapshot. A watch looks whether an alias has moved or a generation was published, builds the
next snapshot beside the one that serves, and swaps them: a request that has begun keeps the one that it began with.
What cannot be loaded leaves the old one serving, and the component says so.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from recsys_assets.api.components import Components
from recsys_assets.columns import ELIGIBLE_ITEMS
from recsys_assets.composing import BlendRule
from recsys_assets.experiments import arms_on, unusable_versions, versions_of_arm, weights_of_arm
from recsys_assets.exposure import Arm
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.composition import PLAIN
from recsys_assets.models.family import Model
from recsys_assets.models.ranking import Ranker
from recsys_assets.platform import FALLBACK_FAMILY
from recsys_assets.registry.serving_versions import load_release
from recsys_assets.serving.generation import Generation
from recsys_assets.slot_window import ONE_DAY
from recsys_assets.validation.stored_weights import serving_rule, serving_weights
from recsys_assets.validation.weights import FIRST_RULE
from resources.model_registry import ModelRegistry, ModelVersion, RegistryError

MODELS, CATALOGUE = "models", "catalogue"
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveModel:
    """A release in memory.

    Attributes:
        version: Which version it is of.
        ranker: The model, prepared for the catalogue.
    """

    version: ModelVersion
    ranker: Ranker

    @property
    def model(self) -> Model:
        """The model."""
        return self.ranker.model


@dataclass(frozen=True)
class Snapshot:
    """Everything that ranking needs to know of items.

    Attributes:
        models: (family, version) to model: those in use, and those that arms name.
        in_use: Family to the version that its alias points at.
        weights: Family to its weight in force.
        rule: The rule of the blend.
        arms: Name to arm, the control first, as they are served on the day after.
        as_of: The newest day that the catalogue knows; None before there is one.
        eligible: Rows of `features/eligible_items` of that day.
        catalogue: What the rules of composition must know of items; without a row where none is switched on.
    """

    models: Mapping[tuple[str, int], LiveModel]
    in_use: Mapping[str, int]
    weights: Mapping[str, float]
    rule: BlendRule
    arms: Mapping[str, Arm]
    as_of: date | None
    eligible: pl.DataFrame
    catalogue: pl.DataFrame

    @property
    def can_rank(self) -> bool:
        """Whether there is anything to rank with, and anything to rank."""
        return FALLBACK_FAMILY in self.in_use and not self.eligible.is_empty()

    def blend_of(self, arm: str) -> dict[str, float]:
        """Family to its weight in the blend of an arm, above 0."""
        return weights_of_arm(self.arms[arm], self.weights)

    def models_of(self, arm: str) -> dict[str, LiveModel]:
        """Family to the model that ranks for an arm: those that its blend weighs, and the fallback.

        A family of which the arm's version is not in memory ranks for nobody in it; the fallback in use always does.
        """
        versions = versions_of_arm(self.arms[arm], self.in_use)
        wanted = {*self.blend_of(arm), FALLBACK_FAMILY}
        chosen = {
            family: self.models[family, version]
            for family, version in versions.items()
            if family in wanted and (family, version) in self.models
        }
        return {FALLBACK_FAMILY: self.models[FALLBACK_FAMILY, self.in_use[FALLBACK_FAMILY]], **chosen}


class LiveModels:
    """Holds the snapshot that serves, and renews it.

    Args:
        store: Features, configuration, and the lake.
        registry: Where the models are.
        generation: The generation in use, if the online store can tell.
        components: Where its state is told.
    """

    def __init__(
        self,
        store: FeatureStore,
        registry: ModelRegistry,
        generation: Callable[[], Generation | None],
        components: Components,
    ) -> None:
        platform = store.platform
        self._store, self._platform, self._lake, self._registry = store, platform, store.lake, registry
        self._generation, self._components = generation, components
        self._families: Mapping[str, ConfiguredFamily] = configured_families(platform)
        self._composition = platform.recommendations.composition
        self._catalogue_version: tuple[date, int] | None = None
        self.reloads = 0
        none = pl.DataFrame(schema=ELIGIBLE_ITEMS.schema)
        arms = arms_on(platform, platform.first_day)
        self.snapshot = Snapshot({}, {}, {}, FIRST_RULE, arms, None, none, pl.DataFrame())
        for name in (MODELS, CATALOGUE):
            components.tell(name, "is being loaded", is_well=False)

    def watch(self) -> None:
        """Look whether something has changed, and hold it; what cannot be read leaves what there is."""
        renewed = self._renewed(CATALOGUE, self._with_catalogue, self.snapshot)
        self.snapshot = self._renewed(MODELS, self._with_models, renewed)

    def _renewed(self, component: str, renew: Callable[[Snapshot], Snapshot], snapshot: Snapshot) -> Snapshot:
        try:
            return renew(snapshot)
        except Exception as error:
            LOGGER.exception("%s cannot be renewed; what there was goes on serving", component)
            detail = f"cannot be renewed ({type(error).__name__}); the log says more, and is not open to everybody"
            self._components.tell(component, detail, is_well=False)
            return snapshot

    def _with_catalogue(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the catalogue of the newest published day, or of the newest there is."""
        generation = self._generation()
        stored = self._lake.days(ELIGIBLE_ITEMS.name)
        day = generation.as_of if generation is not None and generation.as_of in stored else max(stored, default=None)
        if day is None:
            self._components.tell(CATALOGUE, "there is none yet; `recsys run` makes it", is_well=False)
            return snapshot
        version = (day, self._lake.version(ELIGIBLE_ITEMS.name))
        snapshot = replace(
            snapshot,
            weights=serving_weights(self._lake, self._platform, day),
            rule=serving_rule(self._lake, self._platform, day),
            arms=arms_on(self._platform, day + ONE_DAY),
        )
        if version != self._catalogue_version:
            eligible = self._lake.scan(ELIGIBLE_ITEMS, (day, day)).collect()
            models = {
                key: LiveModel(live.version, Ranker.of(live.model, eligible)) for key, live in snapshot.models.items()
            }
            catalogue = pl.DataFrame() if self._composition == PLAIN else self._store.catalogue(day)
            snapshot = replace(snapshot, as_of=day, eligible=eligible, catalogue=catalogue, models=models)
            self._catalogue_version = version
        detail = f"{snapshot.eligible.height} items as of {day}"
        self._components.tell(CATALOGUE, detail, is_well=not snapshot.eligible.is_empty())
        return snapshot

    def _with_models(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with every model in use, and those that arms name; what cannot be loaded leaves the old one."""
        named, trouble = self._named(snapshot.arms)
        wanted: dict[tuple[str, int], LiveModel] = {}
        in_use = {}
        for name in self._families:
            version = self._registry.approved(name)
            if version is None:
                continue
            model = self._loaded(snapshot, version, trouble)
            if model is None and name in snapshot.in_use:
                model = snapshot.models[name, snapshot.in_use[name]]
            if model is not None:
                in_use[name] = model.version.version
                wanted[name, model.version.version] = model
        for version in named:
            model = self._loaded(snapshot, version, trouble)
            if model is not None:
                wanted[version.family, version.version] = model
        held = ", ".join(f"{name} {version}" for name, version in sorted(in_use.items())) or "none is approved yet"
        is_well = not trouble and FALLBACK_FAMILY in in_use
        self._components.tell(MODELS, "; ".join([held, *trouble]), is_well=is_well)
        return replace(snapshot, models=wanted, in_use=in_use)

    def _named(self, arms: Mapping[str, Arm]) -> tuple[list[ModelVersion], list[str]]:
        """The versions that arms name and that may serve; and what is wrong with the others."""
        named = {one for arm in arms.values() for one in (arm.versions or {}).items()}
        found = {one: self._version(*one) for one in sorted(named)}

        def status_of(family: str, number: int) -> str | None:
            version = found[family, number]
            return None if version is None else version.status

        usable = [one for one in found.values() if one is not None and one.status == "Approved"]
        return usable, unusable_versions(arms, status_of)

    def _version(self, family: str, number: int) -> ModelVersion | None:
        try:
            return self._registry.version(family, number)
        except RegistryError:  # there is none
            return None

    def _loaded(self, snapshot: Snapshot, version: ModelVersion, trouble: list[str]) -> LiveModel | None:
        """The model of a version, from memory where it is there; None, and trouble, where it cannot be loaded."""
        known = snapshot.models.get((version.family, version.version))
        if known is not None and known.version.run_id == version.run_id:
            return known
        try:
            model = load_release(self._registry, self._families[version.family].family, version).model
        except Exception:
            LOGGER.exception("%s version %s cannot be loaded", version.family, version.version)
            trouble.append(f"{version.family} version {version.version} cannot be loaded, the log says why")
            return None
        self.reloads += 1
        LOGGER.info("%s version %s is loaded", version.family, version.version)
        return LiveModel(version, Ranker.of(model, snapshot.eligible))
