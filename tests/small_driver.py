"""Takes files in, computes features, trains and ranks on Spark, in a process of its own; says how much memory it took.

    python small_driver.py FOLDER LAST_DAY SLOT

The folder holds `recsys.yaml` and `landing`; the lake is made beside them. How Spark is set up, the environment says.
"""

import json
import re
import sys
import tempfile
import warnings
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pyspark.ml.recommendation  # noqa: F401 - what the fit loads is not what it holds

from recsys_assets.columns import INTERACTIONS
from recsys_assets.features.assets import build_assets as feature_assets
from recsys_assets.features.past import LakePast
from recsys_assets.inference.family_lists import build_family_lists
from recsys_assets.ingestion.assets import build_assets as source_assets
from recsys_assets.models.artifact import Artifact, save
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.training import fit_on
from recsys_assets.models.versions import RELEASE
from recsys_assets.platform import load_platform
from recsys_assets.registry.serving_versions import TRAINED_THROUGH
from recsys_assets.slot_window import slot_window
from resources.engine import SparkEngine
from resources.lake import DeltaLake
from resources.landing import LocalLanding
from resources.model_registry import ModelRegistry


def memory_mib(field: str) -> int:
    """VmRSS: what is held now; VmHWM: the most since it was last forgotten."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


def main(folder: Path, last: date, slot: date) -> None:
    platform = load_platform(folder / "recsys.yaml")
    lake, engine = DeltaLake(root=str(folder / "lake")), SparkEngine()
    registry = ModelRegistry(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
    landing = LocalLanding(root=str(folder / "landing"))
    resources = {"lake": lake, "landing": landing, "engine": engine, "model_registry": registry}
    features = {one.key.path[-1]: one for one in feature_assets(platform) if isinstance(one, dg.AssetsDefinition)}
    ends = zip(("start", "end"), (platform.first_day, last), strict=True)
    days = {f"dagster/asset_partition_range_{end}": str(day) for end, day in ends}
    configuration = dict(engine.session.sparkContext.getConf().getAll())
    dg.materialize(source_assets(platform), resources=resources, partition_key=str(last))  # loads what has to be loaded
    with tempfile.TemporaryDirectory() as nothing:
        registry.register("nothing", slot, Path(nothing), tags={}, params={})
    Path("/proc/self/clear_refs").write_text("5")  # the most that was ever held is now what is held
    before = memory_mib("VmRSS")
    dg.materialize(source_assets(platform), resources=resources, tags=days)
    dg.materialize([features["interactions"]], resources=resources, tags=days)
    LakePast(lake, engine).keep(last)
    views = [features[name] for name in ("exclusions", "purchase_sequence")]
    dg.materialize(views, resources=resources, partition_key=str(last))
    dg.materialize([features["training_set"]], resources=resources, partition_key=str(slot))
    day = slot - timedelta(days=1)
    dg.materialize([features["eligible_items"]], resources=resources, partition_key=str(day))
    for family in configured_families(platform).values():
        release(registry, family, fit_on(platform, family, lake, engine, slot_window(platform, slot), "release"))
    lists = [build_family_lists(platform, family) for family in configured_families(platform).values()]
    dg.materialize(lists, resources=resources, partition_key=str(day))
    grown = memory_mib("VmHWM") - before
    try:
        collected = str(engine.collect(engine.scan(lake, INTERACTIONS)).height)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
        collected = str(error)
    sys.stdout.write(json.dumps({"grown_mib": grown, "collected": collected, "configuration": configuration}))


def release(registry: ModelRegistry, family: ConfiguredFamily, artifact: Artifact) -> None:
    """Register what was fitted, and put it in use."""
    with tempfile.TemporaryDirectory() as folder:
        save(artifact, family.family, Path(folder))
        tags = {TRAINED_THROUGH: str(artifact.provenance.trained_through)}
        version = registry.register(family.name, artifact.provenance.slot, Path(folder), tags=tags, params={})
        registry.add_artifact(version, Path(folder), RELEASE)
    registry.set_status(version, "Approved", "for the test")
    registry.point_approved_at(version)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]), date.fromisoformat(sys.argv[2]), date.fromisoformat(sys.argv[3]))
