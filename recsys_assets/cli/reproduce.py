"""`recsys reproduce FAMILY VERSION`: makes a version's artifacts again and compares them; stores nothing."""

from collections.abc import Iterator

import typer

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.screen import as_cell, plain_table, screen
from recsys_assets.features.specification import feature_spec_hash
from recsys_assets.forgetting import NOT_REPRODUCIBLE
from recsys_assets.models.catalogue import find_family
from recsys_assets.registry.reproduction import Reproduction, reproduce
from resources.model_registry import ModelVersion, RegistryError

SHOWN_DIGITS = 16
SPEC_TAG = "feature_spec_hash"


def reproduce_command(family: str, number: int) -> None:
    """Print recorded and rebuilt hashes, and what differs.

    Raises:
        RegistryError: There is no such version.
        ArtifactError: Its artifacts are damaged, or too old to be made again.
        Exit: With code 1, where an artifact could not be made again as it was.
    """
    if not family.isidentifier():
        raise RegistryError(f"{family!r} cannot be the name of a family; `recsys models` lists families and versions")
    installation = Installation.from_env()
    version = installation.model_registry.version(family, number)
    made = list(reproduce(installation.lake, installation.model_registry, find_family(family), version))
    _show(version, made, feature_spec_hash(installation.platform))
    if not all(one.is_identical for one in made):
        raise typer.Exit(1)


def _show(version: ModelVersion, made: list[Reproduction], spec_today: str) -> None:
    """A line for each artifact, then what there is to say of it."""
    console = screen()
    title = f"{version.family} {version.version} (slot {version.slot}), made again"
    table = plain_table(title, "artifact", "SHA-256 recorded", "SHA-256 now", "result")
    for one in made:
        rebuilt = one.rebuilt[:SHOWN_DIGITS] if one.rebuilt else ""
        result = "[green]identical[/]" if one.is_identical else "[red]differs[/]" if one.rebuilt else "[red]not made[/]"
        table.add_row(one.name, one.recorded[:SHOWN_DIGITS], rebuilt, result)
    console.print(table)
    for sentence in (
        *(f"{one.name}: {said}" for one in made for said in _said(one)),
        *_why_gone(version, made, spec_today),
    ):
        console.print(as_cell(sentence), soft_wrap=True)


def _said(one: Reproduction) -> Iterator[str]:
    """What there is to say of an artifact, in sentences."""
    if one.rebuilt is None:
        yield one.rows
        return
    yield f"from {one.rows}, by their digest the recorded ones"
    if one.differing:
        yield f"made with other things than now: {'; '.join(one.differing)}"
    elif not one.is_identical:
        yield "rows, parameters, seed, code, libraries and machine are the recorded ones, so the fit itself varies"


def _why_gone(version: ModelVersion, made: list[Reproduction], spec_today: str) -> Iterator[str]:
    """What is known to have taken the training rows away."""
    if all(one.rebuilt for one in made):
        return
    if NOT_REPRODUCIBLE in version.tags:
        yield f"known of this version: {version.tags[NOT_REPRODUCIBLE]}"
    recorded = version.tags.get(SPEC_TAG, spec_today)
    if recorded != spec_today:
        yield (
            f"the features are specified otherwise today ({recorded}, now {spec_today}): a slot that is computed again "
            "has other rows"
        )
