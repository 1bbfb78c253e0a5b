"""`recsys generations`: which publications the online store holds, which is in use, and going back to another one."""

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.screen import as_cell, plain_table, screen
from recsys_assets.serving.generations import Generation, current, generations, newest, use


def generations_command() -> None:
    """Print the generations that can be used, the newest first."""
    installation = Installation.from_env()
    client = installation.online_store.connect()
    in_use, held = current(client), generations(client)
    if in_use is None:
        screen().print("Nothing has been published yet; `recsys run` publishes the newest day with approved models.")
        return
    columns = ("generation", "in use", "as of", "published at", "lists", "MB", "filters", "arms and versions")
    table = plain_table("Generations in the online store (recsys generations use GENERATION)", *columns)
    zone = installation.platform.zone
    for one in held:
        published = f"{one.published_at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
        mark = "yes" if one.name == in_use.name else ""
        cells = (one.name, mark, one.as_of, published, one.lists, f"{one.size / 1e6:.1f}", one.filters, _arms(one))
        table.add_row(*(as_cell(cell) for cell in cells))
    screen().print(table)


def use_command(name: str) -> None:
    """Point the online store's readers at a generation.

    Raises:
        PublicationError: It cannot be used.
    """
    client = Installation.from_env().online_store.connect()
    chosen = use(client, name)
    newer = newest(client)
    screen().print(f"{chosen.name} is in use: lists that know the days up to {chosen.as_of}.")
    if newer is not None and newer.sequence > chosen.sequence:
        screen().print(
            f"{newer.name} stays in the store and does not come back by itself. The next publication is switched to as "
            "always: a new day, an approval or a rollback, a changed configuration or late files bring it."
        )


def _arms(generation: Generation) -> str:
    """Arms with their versions; without an experiment, the versions alone."""
    told = {
        arm: ", ".join(f"{family} {version}" for family, version in versions.items())
        for arm, versions in generation.arms.items()
    }
    return next(iter(told.values())) if len(told) == 1 else "; ".join(f"{arm}: {told[arm]}" for arm in told)
