"""Assets that are computed by jobs: nothing of the graph changes but the place."""

from pathlib import Path

import dagster as dg
import pytest

from recsys_assets.definitions import build_definitions
from recsys_assets.platform import BUNDLED_CONFIG, Platform, load_platform
from recsys_assets.remote.assets import computed_by_jobs
from resources.emr_serverless import EmrServerless
from resources.settings import Settings
from resources.wiring import build_resources

GROUPS = ["sources", "features", "models", "recommendations"]
ONLINE_RETAIL = Path("examples/online_retail/recsys.yaml")


def definitions(groups: list[str], tmp_path: Path) -> dg.Definitions:
    """The whole graph of the bundled store, with these groups computed by jobs."""
    settings = Settings(home=tmp_path, lake=str(tmp_path / "lake"), landing=str(tmp_path / "landing"))
    resources = build_resources(settings)
    if groups:
        place = {"application_id": "00f1example", "role_arn": "arn", "bundle": "s3://shop/bundles"}
        resources["spark_jobs"] = EmrServerless(groups=groups, environment={}, **place)
    return build_definitions(load_platform(BUNDLED_CONFIG), resources)


def assets(found: dg.Definitions) -> dict[str, dg.AssetsDefinition]:
    """By the name of their step."""
    return {
        one.op.name: one for one in found.assets or () if isinstance(one, dg.AssetsDefinition) and one.is_executable
    }


def by_jobs(found: dg.Definitions) -> set[str]:
    return {name for name, one in assets(found).items() if "spark_jobs" in one.op.required_resource_keys}


def test_the_graph_stays_what_it_is(tmp_path: Path) -> None:
    here, there = definitions([], tmp_path), definitions(GROUPS, tmp_path)
    dg.Definitions.validate_loadable(there)
    mine, theirs = assets(here), assets(there)
    assert list(theirs) == list(mine)
    assert len(by_jobs(there)) > 10
    assert by_jobs(here) == set()
    for name, one in mine.items():
        other = theirs[name]
        assert other.specs_by_key == one.specs_by_key
        assert list(other.check_specs) == list(one.check_specs)
        assert (other.partitions_def, other.backfill_policy) == (one.partitions_def, one.backfill_policy)
        assert (other.op.pool, other.op.retry_policy, other.op.tags) == (one.op.pool, one.op.retry_policy, one.op.tags)
        assert other.can_subset == one.can_subset
    jobs = [{job.name: set(job.nodes_in_topological_order) for job in all_jobs(one)} for one in (here, there)]
    assert [sorted(one) for one in jobs] == [sorted(jobs[0])] * 2


def all_jobs(found: dg.Definitions) -> list[dg.JobDefinition]:
    names = ("ingest", "refresh", "train", "recommend", "monitor", "maintain")
    return [found.resolve_job_def(name) for name in names]


def test_only_the_groups_on_spark_are_computed_by_jobs(tmp_path: Path) -> None:
    assert by_jobs(definitions(["sources"], tmp_path)) == {"sources"}
    features = by_jobs(definitions(["features"], tmp_path))
    assert {"features__training_set", "features__interactions", "past__states"} <= features
    assert all(name.startswith(("features__", "past__")) for name in features)


def test_blending_stays_here(tmp_path: Path) -> None:
    lists = by_jobs(definitions(["recommendations"], tmp_path))
    assert lists == {"recommendations__popularity", "recommendations__als"}


def test_none_of_them_asks_for_configuration_which_a_job_would_not_get(tmp_path: Path) -> None:
    here, names = assets(definitions([], tmp_path)), by_jobs(definitions(GROUPS, tmp_path))
    asked = {name: here[name].op.config_schema.as_field().is_required for name in names}
    assert asked == dict.fromkeys(names, False)


def test_what_has_no_rows_of_its_own_is_no_job() -> None:
    virtual = dg.AssetSpec(["features", "family_scores"], group_name="features")
    jobs = EmrServerless(groups=GROUPS, environment={}, application_id="a", role_arn="b", bundle="s3://c")
    assert computed_by_jobs(load_platform(BUNDLED_CONFIG), [virtual], {"spark_jobs": jobs}) == [virtual]


@pytest.mark.parametrize("file", [BUNDLED_CONFIG, ONLINE_RETAIL])
def test_a_configuration_arrives_as_it_was_sent(file: Path) -> None:
    platform = load_platform(file)
    sent = platform.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert Platform.model_validate(sent) == platform
