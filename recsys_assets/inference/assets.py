"""The assets of the group `recommendations`: the lists of each family for a day, and the final ones."""

import dagster as dg

from recsys_assets.inference.family_lists import build_family_lists
from recsys_assets.inference.final import build_final
from recsys_assets.models.catalogue import configured_families
from recsys_assets.platform import Platform


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """One asset per configured family, and `final`."""
    families = configured_families(platform).values()
    return [*(build_family_lists(platform, family) for family in families), build_final(platform)]
