"""Spark jobs: programs on a Spark elsewhere that compute what an asset of this machine was asked for.

What a job is told and what it tells goes through Dagster Pipes. Where jobs run is the business of a subclass, what they
compute that of `recsys_assets.spark_jobs`.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg


class SparkJobError(Exception):
    """A job could not be started or followed; the message names the job, where its logs are, and what to do."""


@dataclass(frozen=True)
class JobOutcome:
    """What a job has come to.

    Attributes:
        results: What it reported, in order, also where it failed afterwards.
        messages: What it told besides.
        failure: In which way it ended, if not well; None for success.
        place: Names the job and says where its logs are.
        facts: Metadata of everything that it materialized.
    """

    results: Sequence[dg.MaterializeResult | dg.AssetCheckResult]
    messages: Sequence[Any]
    failure: str | None
    place: str
    facts: Mapping[str, Any]


class SparkJobs(dg.ConfigurableResource):
    """What every place of Spark jobs can do.

    Attributes:
        groups: Asset groups whose engine is Spark: their assets run as jobs.
        environment: Variables of the job's process, none of them secret: the places that it reads and writes.
    """

    groups: list[str]
    environment: dict[str, str]

    @abstractmethod
    def run(self, context: dg.AssetExecutionContext, title: str, extras: Mapping[str, Any]) -> JobOutcome:
        """Run one job to its end. When the run of `context` is terminated, so is the job.

        Args:
            context: Of the step that the job computes.
            title: Says to people what the job computes.
            extras: What the job is told besides what Dagster Pipes says by itself.

        Raises:
            SparkJobError: The job could not be started, or nobody knows what became of it.
        """
