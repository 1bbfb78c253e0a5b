"""Finds the families that `recsys.yaml` names, and checks their hyper-parameters by the family's own class."""

import importlib
import pkgutil
import re
from dataclasses import dataclass
from typing import Any

import recsys_assets.models
from recsys_assets.configuration import ConfigurationError, checked
from recsys_assets.models.family import Family, Parameters
from recsys_assets.platform import FamilySettings, Platform

SETS_FAMILY = re.compile(r"^FAMILY\b.*=", re.MULTILINE)


@dataclass(frozen=True)
class ConfiguredFamily:
    """A family with the settings that the platform owner gave it."""

    family: Family
    settings: FamilySettings
    parameters: Parameters

    @property
    def name(self) -> str:
        """As in `recsys.yaml` and in asset keys."""
        return self.family.name


def configured_families(platform: Platform) -> dict[str, ConfiguredFamily]:
    """Import the module of every configured family.

    Raises:
        ConfigurationError: There is no such family, or a hyper-parameter is unknown or wrong.
    """
    return {name: _configured(name, settings) for name, settings in platform.families.items()}


def _configured(name: str, settings: FamilySettings) -> ConfiguredFamily:
    family = find_family(name)
    parameters = checked(family.parameters, settings.parameters, f"recsys.yaml: families.{name}.parameters")
    return ConfiguredFamily(family, settings, parameters)


def available_families() -> dict[str, Family]:
    """Every family that could be configured, by name."""
    return {name: _imported(name) for name in _family_modules()}


def find_family(name: str) -> Family:
    """The family that a module of `recsys_assets.models` offers under this name.

    Raises:
        ConfigurationError: There is no such module, or it offers none.
    """
    known = _family_modules()
    if name not in known:
        raise ConfigurationError(
            f"recsys.yaml: families.{name}: there is no recsys_assets/models/{name}.py with a FAMILY; the families are "
            f"{', '.join(known)}"
        )
    return _imported(name)


def _imported(name: str) -> Family:
    family: Family = importlib.import_module(f"recsys_assets.models.{name}").FAMILY
    return family


def _family_modules() -> list[str]:
    """The modules that set FAMILY, by their text: importing the others would take time, or do something."""
    modules = {module.name: module.module_finder for module in pkgutil.iter_modules(recsys_assets.models.__path__)}
    return sorted(name for name, finder in modules.items() if SETS_FAMILY.search(_source(name, finder)))


def _source(name: str, finder: Any) -> str:
    loader = finder.find_spec(name).loader
    return str(loader.get_source(name))
