"""`recsys estimate`: what a version would get, from impressions that say how likely they were, before users see it."""

from rich.console import Console

from recsys_assets.cli.decide import require_family
from recsys_assets.cli.installation import Installation
from recsys_assets.cli.screen import as_cell, plain_table, screen
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import configured_families
from recsys_assets.monitoring.candidate_log import CandidateLog, candidate_log
from recsys_assets.monitoring.off_policy import Figure, OffPolicy, estimate

FEW = 100
"""Fewer effective impressions than this say next to nothing."""


def estimate_command(family: str, version: int, days: int, clip: float | None) -> None:
    """Print what is estimated of a version.

    Raises:
        ConfigurationError: There is no such family.
        RegistryError: There is no such version.
        NoEstimateError: The log cannot say.
    """
    installation = Installation.from_env()
    require_family(installation, family)
    show_estimate(installation, screen(), family, version, days, clip)


def show_estimate(
    installation: Installation, console: Console, family: str, number: int, days: int, clip: float | None = None
) -> None:
    """Print the estimates with their intervals, and what they rest on."""
    registry = installation.model_registry
    store = FeatureStore(installation.platform, installation.lake, installation.engine)
    configured = configured_families(installation.platform)[family]
    found = candidate_log(store, registry, configured, registry.version(family, number), days)
    _show(console, f"{family} version {number}", found, estimate(found.log, clip))


def _show(console: Console, label: str, found: CandidateLog, estimated: OffPolicy) -> None:
    title = f"What {label} would get, from impressions of {found.days[0]} to {found.days[-1]}"
    table = plain_table(title, "", "value", "95 % interval")
    for name, figure in (
        ("CTR of what was shown", estimated.logged),
        (f"CTR of {label}, IPS", estimated.ips),
        (f"CTR of {label}, SNIPS", estimated.snips),
        ("mean weight, should be 1", estimated.weight),
    ):
        table.add_row(*(as_cell(cell) for cell in (name, f"{figure.value:.4f}", _interval(figure))))
    console.print(table)
    console.print(
        f"  {estimated.impressions:,} impressions to {estimated.units:,} users; {estimated.matched:,} are what {label} "
        f"would have shown, worth {estimated.effective:,.0f} of equal weight (the largest is "
        f"{estimated.largest_weight:.1f}; {estimated.clipped:,} were clipped)."
    )
    left_out = {
        "have no propensity": found.without_propensity,
        "name no user": found.without_user,
        "are to users without a list of it": found.without_list,
    }
    words = ", ".join(f"{count:,} {why}" for why, count in left_out.items() if count)
    if words:
        console.print(f"  Left out: {words}.")
    if estimated.effective < FEW:
        console.print("  That is too little to decide by: show items at random for more of the requests, or wait.")


def _interval(figure: Figure) -> str:
    return f"{figure.low:.4f} to {figure.high:.4f}"
