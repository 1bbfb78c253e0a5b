"""`recsys recommend USER`: the list that the online store serves, with titles and reasons."""

import polars as pl
import typer
from rich.console import Console

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.screen import as_cell, plain_table, screen
from recsys_assets.features.store import FeatureStore
from recsys_assets.serving.explanation import Reason, explain
from recsys_assets.serving.generations import read_list


def recommend_command(user_id: str, limit: int, *, with_reasons: bool) -> None:
    """Print a user's published list.

    Raises:
        typer.Exit: Nothing has been published yet.
    """
    console = screen()
    if not show_list(Installation.from_env(), console, user_id, limit, with_reasons=with_reasons):
        console.print("Nothing has been published yet; `recsys run` does it.")
        raise typer.Exit(1)


def show_list(installation: Installation, console: Console, user_id: str, limit: int, *, with_reasons: bool) -> bool:
    """Print the first `limit` items of a user's list; False when nothing was ever published."""
    found = read_list(installation.online_store.connect(), user_id)
    if found is None:
        return False
    generation, items, is_own = found
    store = FeatureStore(installation.platform, installation.lake, installation.engine)
    titles = store.catalogue(generation.as_of)
    reasons = explain(store, installation.model_registry, generation, user_id) if with_reasons else []
    whose = f"user {user_id}" if is_own else f"user {user_id}, who is unknown: the popular list"
    explained = ("from", "because you bought") if reasons else ()
    table = plain_table(f"{len(items)} recommendations for {whose}", "#", "item", "title", *explained)
    names = {row["item_id"]: _label(row) for row in titles.iter_rows(named=True)}
    by_item = {reason.item_id: reason for reason in reasons}
    for place, item in enumerate(items[:limit], start=1):
        cells = (place, item, names.get(item, ""), *_why(by_item.get(item), names))
        table.add_row(*(as_cell(cell) for cell in cells))
    console.print(table)
    console.print(f"  generation {generation.name}, histories up to {generation.as_of}")
    return True


def some_user(installation: Installation) -> str | None:
    """A user with a published personal list and a rich history, to show as an example."""
    from recsys_assets.columns import FINAL_RECOMMENDATIONS, PURCHASE_SEQUENCE

    personal = installation.lake.scan(FINAL_RECOMMENDATIONS).filter(~pl.col("is_fallback")).select("ds", "user_id")
    histories = installation.lake.scan(PURCHASE_SEQUENCE).with_columns(bought=pl.col("item_ids").list.len())
    found = personal.join(histories, on=["ds", "user_id"]).sort(
        "ds", "bought", "user_id", descending=[True, True, False]
    )
    rows = found.select("user_id").head(1).collect()
    return None if rows.is_empty() else str(rows["user_id"].item())


def _why(reason: Reason | None, names: dict[str, str]) -> tuple[str, ...]:
    if reason is None:
        return ()
    if reason.because_of is None:
        return (reason.source, "")
    return (reason.source, names.get(reason.because_of) or reason.because_of)


def _label(row: dict[str, str | None]) -> str:
    return f"{row['title'] or ''} / {row['creator']}" if row["creator"] else row["title"] or ""
