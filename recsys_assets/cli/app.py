"""The command itself: names, options, exit codes, and one clear message when something is wrong."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from recsys_assets.cli.options import By, FamilyName, Items, Seed, Users, Version, Why, named
from recsys_assets.configuration import ConfigurationError
from recsys_assets.experiments import UnusableVersionError
from recsys_assets.features.store import UnknownViewError
from recsys_assets.features.training_set import TooLittleHistoryError
from recsys_assets.ingestion.draft import NothingToDraftError
from recsys_assets.ingestion.raw_rows import UnreadableFileError
from recsys_assets.models.artifact import ArtifactError
from recsys_assets.monitoring.off_policy import NoEstimateError
from recsys_assets.registry.approval import RefusedError
from recsys_assets.serving.generation import PublicationError
from resources import s3
from resources.lake import LakeError
from resources.landing import LandingError
from resources.model_registry import RegistryError
from resources.online_store import OnlineStoreError
from resources.settings import SettingsError

EXPECTED_ERRORS = (
    ConfigurationError,
    SettingsError,
    LakeError,
    LandingError,
    NothingToDraftError,
    UnreadableFileError,
    RegistryError,
    ArtifactError,
    UnusableVersionError,
    OnlineStoreError,
    PublicationError,
    UnknownViewError,
    TooLittleHistoryError,
    RefusedError,
    NoEstimateError,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The recommender platform.",
)


@app.callback()
def recsys() -> None:
    """The recommender platform: landed files in, 200 recommendations per user out."""


@app.command()
def run(
    from_: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="D", help="The first day to look at."),
    ] = None,
    to: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], metavar="D", help="The last day to look at."),
    ] = None,
) -> None:
    """Do everything that is due: ingest landed days, train the newest slot, recommend and publish."""
    from recsys_assets.cli.run import run_command

    run_command(from_.date() if from_ else None, to.date() if to else None)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Where the shop's files lie.")],
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("recsys.yaml"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
) -> None:
    """Draft a recsys.yaml from what lies in a folder, and preview one day's accepted and rejected rows."""
    from recsys_assets.cli.init import init_command

    init_command(folder, output, overwrite=overwrite)


@app.command()
def doctor() -> None:
    """Check configuration, landing, online store, registry and lake before a run, without changing anything."""
    from recsys_assets.cli.doctor import doctor_command

    doctor_command()


@app.command()
def rejected(
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="D", help="Default: the summary over all days."),
    ] = None,
    table: Annotated[str | None, typer.Option(help="Only rows meant for this table, such as events.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only rows that were rejected for this.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the day's rows to show.")] = 20,
) -> None:
    """Show which landed rows were set aside, and why."""
    from recsys_assets.cli.rejected import Wanted, rejected_command

    rejected_command(day.date() if day else None, Wanted(table, reason), limit)


@app.command()
def demo(users: Users = 2_000, items: Items = 1_500, seed: Seed = 0) -> None:
    """Run the whole loop on a simulated e-book store."""
    from recsys_assets.cli.demo import demo_command

    demo_command(users, items, seed)


@app.command()
def simulate(
    users: Users = 2_000,
    items: Items = 1_500,
    seed: Seed = 0,
    days: Annotated[int | None, typer.Option(min=1, help="Default: the configured days.")] = None,
) -> None:
    """Write the landing files of a simulated e-book store."""
    from recsys_assets.cli.demo import simulate_command

    simulate_command(users, items, seed, days)


@app.command()
def dev(port: Annotated[int, typer.Option(min=1, max=65_535)] = 3000) -> None:
    """Open the Dagster UI with the sensors running."""
    from recsys_assets.cli.dev import dev_command

    dev_command(port)


@app.command("code-server")
def code_server(
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 4000,
) -> None:
    """Serve the code location to a Dagster webserver and daemon that run elsewhere, and run their runs."""
    from recsys_assets.cli.code_server import code_server_command

    code_server_command(host, port)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen at; others than this machine's own need keys.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes; each holds the models in memory.")] = 1,
    is_open: Annotated[bool, typer.Option("--open", help="Let everybody in without a key.")] = False,
    impressions: Annotated[
        bool, typer.Option(help="Land what is served as impressions; say no where the shop posts its own.")
    ] = True,
) -> None:
    """Serve the API and the pages: published lists, real time, similar items, events."""
    from recsys_assets.cli.serve import serve_command

    serve_command(host, port, workers, is_open=is_open, logs_served=impressions)


@app.command()
def stop() -> None:
    """Stop the embedded online store; its data stay."""
    from recsys_assets.cli.dev import stop_command

    stop_command()


@app.command()
def models(
    family: Annotated[str | None, typer.Argument(help="Only this family.")] = None,
    version: Annotated[int | None, typer.Argument(min=1, help="The page of this version.")] = None,
    diff: Annotated[
        tuple[str, int, int] | None,
        typer.Option("--diff", metavar="FAMILY V1 V2", help="What differs between two versions, and their lists."),
    ] = None,
) -> None:
    """Show model versions: what is in production, what waits, what was refused and why, and who decided when."""
    from recsys_assets.cli.models import models_command

    if diff is not None and family is not None:
        raise typer.BadParameter("takes the family and both versions itself: --diff FAMILY V1 V2", param_hint="--diff")
    models_command(family, version, diff)


@app.command()
def approve(family: FamilyName, version: Version, reason: Why, by: By = None) -> None:
    """Put a version in production. It must have passed the gate; that it was rejected before is overruled."""
    from recsys_assets.cli.decide import decide_command

    decide_command("approve", family, version, reason, by)


@app.command()
def reject(family: FamilyName, version: Version, reason: Why, by: By = None) -> None:
    """Refuse a version that is not in production."""
    from recsys_assets.cli.decide import decide_command

    decide_command("reject", family, version, reason, by)


@app.command()
def rollback(
    family: FamilyName,
    reason: Why,
    to: Annotated[
        int | None, typer.Option(min=1, metavar="VERSION", help="Default: the newest approved one before.")
    ] = None,
    by: By = None,
) -> None:
    """Go back to an earlier version; the one in production is refused and does not come back by itself."""
    from recsys_assets.cli.decide import decide_command

    decide_command("rollback", family, to or 0, reason, by)


@app.command()
def reproduce(family: FamilyName, version: Version) -> None:
    """Make a version again from its recorded rows, parameters and seed, and compare; nothing is stored."""
    from recsys_assets.cli.reproduce import reproduce_command

    reproduce_command(family, version)


@app.command()
def experiment(name: Annotated[str, typer.Argument(help="The experiment, as in recsys.yaml.")]) -> None:
    """Show how the arms of an experiment do with users, and whether that is certain however often you look."""
    from recsys_assets.cli.experiment import experiment_command

    experiment_command(name)


@app.command()
def estimate(
    family: FamilyName,
    version: Version,
    days: Annotated[int, typer.Option(min=1, help="How many of the newest days with impressions.")] = 7,
    clip: Annotated[
        float | None, typer.Option(help="The largest weight of an impression; lower is steadier and less honest.")
    ] = None,
) -> None:
    """Estimate the click-through rate of a version before users see it, from impressions with propensities."""
    from recsys_assets.cli.estimate import estimate_command

    estimate_command(family, version, days, clip)


@app.command()
def features(
    view: Annotated[
        str | None, typer.Argument(help="The view whose page to show; default: all views, a line each.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a documentation site.")] = False,
) -> None:
    """Show the specification of the feature views: what a model's author reads."""
    from recsys_assets.cli.features import features_command

    features_command(view, markdown=markdown)


@app.command()
def backfill(
    views: Annotated[list[str], typer.Argument(help="Views that are kept by day, such as user_profile.")],
    from_: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], metavar="D", help="The first day.")],
    to: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], metavar="D", help="The last day.")],
) -> None:
    """Compute days of feature views, in a single run."""
    from recsys_assets.cli.features import backfill_command

    backfill_command(views, from_.date(), to.date())


@app.command()
def families(
    family: Annotated[str | None, typer.Argument(help="The family whose page to show; default: all of them.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a documentation site.")] = False,
) -> None:
    """Show the model families that there are, with their hyper-parameters."""
    from recsys_assets.cli.families import families_command

    families_command(family, markdown=markdown)


@app.command()
def tune(
    family: Annotated[str, typer.Argument(help="The family, configured or not, such as als.")],
    trials: Annotated[
        int, typer.Option(min=1, help="How many settings to try; the first are the configured ones.")
    ] = 30,
    slot: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="DAY", help="Default: the newest slot whose days are ingested."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed tries the same settings.")] = 0,
) -> None:
    """Search hyper-parameters on the days before the holdout, and print the YAML to paste."""
    from recsys_assets.cli.tune import tune_command

    tune_command(family, trials, slot.date() if slot else None, seed)


@app.command()
def forget(user: Annotated[str, typer.Argument(help="The shop's id of the user.", callback=named)]) -> None:
    """Remove a person from the lake and its history, the training sets and the online store."""
    from recsys_assets.cli.forget import forget_command

    forget_command(user)


@app.command()
def maintain() -> None:
    """Keep the lake small and quick: drop days that need not be kept, put small files together, remove unused ones."""
    from recsys_assets.cli.maintain import maintain_command

    maintain_command()


@app.command()
def recommend(
    user: Annotated[str, typer.Argument(help="The shop's id of the user.")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many items to show.")] = 20,
    explain: Annotated[bool, typer.Option("--explain", help="Say what brought each item.")] = False,
) -> None:
    """Show the list that the online store serves to a user."""
    from recsys_assets.cli.recommend import recommend_command

    recommend_command(user, limit, with_reasons=explain)


generations = typer.Typer(invoke_without_command=True)
app.add_typer(generations, name="generations")


@generations.callback()
def list_generations(context: typer.Context) -> None:
    """Show which publications the online store holds, and which is in use."""
    from recsys_assets.cli.generations import generations_command

    if context.invoked_subcommand is None:
        generations_command()


@generations.command()
def use(generation: Annotated[str, typer.Argument(help="Its name, as `recsys generations` shows it.")]) -> None:
    """Go back to a generation at once, or forward again; the next publication is switched to as always."""
    from recsys_assets.cli.generations import use_command

    use_command(generation)


def main() -> None:
    """Run the command; an expected error becomes one message and exit code 1."""
    from recsys_assets.cli.installation import BusyError
    from recsys_assets.definitions import allow_known_warnings

    allow_known_warnings()
    try:
        app()
    except (*EXPECTED_ERRORS, BusyError, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, EXPECTED_ERRORS) and not s3.is_of_s3(error):
            raise
        console = Console(stderr=True, highlight=False, emoji=False)
        console.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
