"""A simulated e-book store: it writes ordinary landing files, so nothing downstream knows it is simulated.

Readers with tastes, series, releases, refunds, blocks, bots, staff and dirty rows belong here; reading the
files, and everything that is learned from them, stays out.
"""

from recsys_assets.simulation.parameters import StoreParameters
from recsys_assets.simulation.store import SimulatedStore, simulate

__all__ = ["SimulatedStore", "StoreParameters", "simulate"]
