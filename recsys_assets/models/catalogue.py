"""Finds the families that `recsys.yaml` names, and checks their hyper-parameters by the family's own class."""

import importlib
import pkgutil
from dataclasses import dataclass

import recsys_assets.models
from recsys_assets.models.family import Family, Parameters
from recsys_assets.platform import ConfigurationError, FamilySettings, Platform, checked


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
    family = _find(name)
    parameters = checked(family.parameters, settings.parameters, f"recsys.yaml: families.{name}.parameters")
    return ConfiguredFamily(family, settings, parameters)


def _find(name: str) -> Family:
    modules = {module.name for module in pkgutil.iter_modules(recsys_assets.models.__path__)}
    if name in modules:
        family = getattr(importlib.import_module(f"recsys_assets.models.{name}"), "FAMILY", None)
        if isinstance(family, Family):
            return family
    raise ConfigurationError(f"recsys.yaml: families.{name}: there is no recsys_assets/models/{name}.py with a FAMILY")
