"""The program of a job, run by `spark-submit`: materializes the asked assets, and tells Dagster what came of it.

It learns through Dagster Pipes what is asked for, computes it with the assets of the graph in a Dagster instance of its
own, which lasts as long as the job, and reports the results. Spark's session is made with what `spark-submit` was told.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import boto3
import dagster as dg
import pyspark
from dagster_pipes import (
    DAGSTER_PIPES_CONTEXT_ENV_VAR,
    PipesContext,
    PipesS3ContextLoader,
    PipesS3MessageWriter,
    decode_param,
    open_dagster_pipes,
)

from recsys_assets.configuration import ConfigurationError, checked
from recsys_assets.definitions import allow_known_warnings, build_definitions
from recsys_assets.platform import Platform
from recsys_assets.remote.code import package_digest
from recsys_assets.remote.results import DESCRIPTION, FAILURE, told
from resources.settings import Settings, SettingsError
from resources.wiring import build_resources
from sensors.failures import failures_of
from sensors.state import RANGE_TAGS

DATA_VERSION_TAG = "dagster/data_version"
GIVEN_VERSION_TAG = "dagster/data_version_is_user_provided"
"""Versions that Dagster makes up itself are made up where the asset's history is."""


OLDEST_SPARK = 4
"""From this major version on, frames come back as Arrow tables."""


class UnfitBundleError(Exception):
    """The job runs other code than what asked for it."""


class UnfitSparkError(Exception):
    """The cluster's Spark is too old; the message says which one it takes."""


def main() -> None:
    """Compute what Dagster asks for; ends with exit code 1 when it failed.

    Raises:
        SystemExit: It failed, or nobody asked.
    """
    if DAGSTER_PIPES_CONTEXT_ENV_VAR not in os.environ:
        raise SystemExit(
            "this program is started by Dagster, see docs/emr_serverless.md; it has nothing to do by itself"
        )
    allow_known_warnings()
    with _opened() as pipes:
        is_done = report(pipes)
    if not is_done:
        sys.exit(1)


def _opened() -> PipesContext:
    """The connection to Dagster: through S3 where it says so, through files otherwise."""
    if "bucket" not in decode_param(os.environ[DAGSTER_PIPES_CONTEXT_ENV_VAR]):
        return open_dagster_pipes()
    client = boto3.client("s3")
    return open_dagster_pipes(context_loader=PipesS3ContextLoader(client), message_writer=PipesS3MessageWriter(client))


def report(pipes: PipesContext) -> bool:
    """Compute and report.

    Returns:
        Whether everything went well.
    """
    keys = [dg.AssetKey.from_escaped_user_string(key) for key in pipes.asset_keys]
    try:
        result = computed(pipes.extras, keys)
    except (ConfigurationError, SettingsError, UnfitBundleError, UnfitSparkError) as error:
        pipes.report_custom_message({FAILURE: str(error)})
        return False
    report_events(pipes, result.all_events)
    if not result.success:
        _report_failures(pipes, result.all_events)
    return result.success


def computed(extras: Mapping[str, Any], keys: Sequence[dg.AssetKey]) -> dg.ExecuteInProcessResult:
    """Materialize assets as a job was asked to.

    Args:
        extras: What `remote.assets` says to a job.
        keys: The assets.

    Returns:
        Everything that happened, also when it failed.

    Raises:
        UnfitBundleError: The asking side runs other code.
        UnfitSparkError: The cluster's Spark is too old.
        ConfigurationError: The configuration is none.
        SettingsError: The places cannot be used.
    """
    if extras["package"] != package_digest():
        raise UnfitBundleError(
            f"the bundle holds the code {package_digest()} and was asked by {extras['package']}; make the bundle again "
            "where the code location runs: `make spark-bundle`"
        )
    require_spark(pyspark.__version__)
    platform = checked(Platform, extras["platform"], "the configuration that came with the job")
    for name, value in extras["environment"].items():
        os.environ.setdefault(name, value)  # what the job itself was given goes before
    with tempfile.TemporaryDirectory(prefix="recsys-job-") as home, dg.DagsterInstance.ephemeral() as instance:
        settings = Settings.from_env({**os.environ, "RECSYS_HOME": home})
        resources = build_resources(settings, platform.engine)
        definitions = build_definitions(platform, resources)
        return dg.materialize(
            [one for one in definitions.assets or () if isinstance(one, dg.AssetsDefinition | dg.AssetSpec)],
            selection=list(keys),
            resources=resources,
            instance=instance,
            raise_on_error=False,
            **_partitions(extras),
        )


def require_spark(version: str) -> None:
    """Refuse a Spark that lacks what is called.

    Args:
        version: Of the cluster's PySpark, which is the one that a job finds.

    Raises:
        UnfitSparkError: It is too old.
    """
    if int(version.partition(".")[0]) < OLDEST_SPARK:
        raise UnfitSparkError(
            f"the jobs need Spark {OLDEST_SPARK} or newer, and this is {version}; give the application a release that "
            "has it, such as emr-spark-8.0.0"
        )


def _partitions(extras: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that say which partitions; the run keeps the tags of the one that asked."""
    first, last = extras["first_partition"], extras["last_partition"]
    if first == last:
        return {"partition_key": first or None, "tags": extras["tags"]}
    return {"tags": {**extras["tags"], **dict(zip(RANGE_TAGS, (first, last), strict=True))}}


def report_events(pipes: PipesContext, events: Sequence[dg.DagsterEvent]) -> None:
    """Say what was materialized and what the checks came to."""
    _report_materializations(pipes, events)
    _report_checks(pipes, events)


def _report_materializations(pipes: PipesContext, events: Sequence[dg.DagsterEvent]) -> None:
    """In order; a range of partitions has one event for each, and all say the same."""
    reported = set()
    for event in events:
        if event.is_step_materialization and event.asset_key not in reported:
            reported.add(event.asset_key)
            made = event.step_materialization_data.materialization
            tags = made.tags or {}
            pipes.report_asset_materialization(
                asset_key=made.asset_key.to_escaped_user_string(),
                metadata=told(made.metadata),
                data_version=tags[DATA_VERSION_TAG] if tags.get(GIVEN_VERSION_TAG) == "true" else None,
            )


def _report_checks(pipes: PipesContext, events: Sequence[dg.DagsterEvent]) -> None:
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            one = event.asset_check_evaluation_data
            sentence = {} if one.description is None else {DESCRIPTION: dg.MetadataValue.text(one.description)}
            pipes.report_asset_check(
                asset_key=one.asset_key.to_escaped_user_string(),
                check_name=one.check_name,
                passed=one.passed,
                severity=one.severity.value,
                metadata=told({**one.metadata, **sentence}),
            )


def _report_failures(pipes: PipesContext, events: Sequence[dg.DagsterEvent]) -> None:
    """Why it failed: in words for people, and as Python tells it for the log."""
    failed = [event for event in events if event.is_step_failure]
    words = [words for _, words in failures_of(failed).errors]  # also of steps that a check has stopped
    pipes.report_custom_message({FAILURE: "; ".join(words) or "the job failed outside its steps; see its logs"})
    for event in failed:
        if event.step_failure_data.error is not None:
            pipes.log.error(event.step_failure_data.error.to_string())
