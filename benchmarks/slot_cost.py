"""What training and validating a slot costs, as a ratio to implicit's own fit and evaluation on the same matrix.

    python benchmarks/slot_cost.py [--events N]

The landing is drawn at random (see features_landing.py); the training set of the newest slot is made beforehand. Then
`models/als` and `validation/als` are materialized: fit, artifact, registration, ranking, every figure of the report
with its intervals, verdicts, pictures. The peer fits `implicit.als.AlternatingLeastSquares` with the same
hyper-parameters on the same rows, and evaluates it with `implicit.evaluation.ranking_metrics_at_k` on lists of the same
length. One fit is compared: the release, which is fitted after a pass, is not in it.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import polars as pl
from features import figures, materialize
from features_landing import CONFIGURATION, DAYS, FIRST_DAY, write_landing

from recsys_assets.models.family import history_matrix

FACTORS, REGULARIZATION, ALPHA, ITERATIONS, SEED = 64, 10.0, 5.0, 15, 0
LENGTH = 200
SLOT = FIRST_DAY + timedelta(days=DAYS - 1)
FAMILIES = f"""\
  als:
    parameters: {{factors: {FACTORS}, regularization: {REGULARIZATION}, alpha: {ALPHA}, iterations: {ITERATIONS}}}
    gate: {{min_gain_over_popularity: -1, min_catalogue_coverage: 0}} # users are drawn at random: nothing to find
training: {{slots: "0 0 * * *"}}
"""
GOAL = 1.25


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=3_000_000)
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.peer:
        print(json.dumps(peer(chosen.peer)))
        return 0
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        measure(Path(folder), chosen.events)
    return 0


def measure(folder: Path, events: int) -> None:
    """Write the landing into the folder, bring it as far as the training set, and measure."""
    write_landing(folder / "landing", events)
    (folder / "recsys.yaml").write_text(CONFIGURATION + FAMILIES, encoding="utf-8")
    environment = {
        **os.environ,
        "RECSYS_HOME": str(folder / "home"),
        "RECSYS_LAKE": str(folder / "home" / "lake"),
        "RECSYS_LANDING": str(folder / "landing"),
        "RECSYS_CONFIG": str(folder / "recsys.yaml"),
    }
    slot = (str(SLOT), str(SLOT))
    materialize("ingest", str(FIRST_DAY), str(SLOT - timedelta(days=1)), environment)
    materialize("train", *slot, environment, "features/training_set", "models/popularity")
    ours = materialize("train", *slot, environment, "models/als", "validation/als")
    script = Path(__file__).name
    theirs = figures(script, ["--peer", str(folder / "home" / "lake" / "features" / "training_set")], environment)
    steps = ours["steps"]
    print(f"{events:,} events, {theirs['rows']:,} cells, {theirs['users']:,} holdout users, {os.cpu_count()} cores")
    for name, seconds, peer_seconds in (
        ("fit", steps["models__als"], theirs["fit"]),
        ("evaluation", steps["validation__als"], theirs["evaluation"]),
        ("both", sum(steps.values()), theirs["fit"] + theirs["evaluation"]),
    ):
        ratio = seconds / peer_seconds
        print(f"  {name:12}recsys {seconds:7.1f} s   implicit {peer_seconds:7.1f} s   ratio {ratio:5.2f}")
    print(f"  goal: at most {GOAL}")


def peer(training_set: Path) -> dict[str, float]:
    """Seconds of implicit's fit and evaluation."""
    from implicit.als import AlternatingLeastSquares
    from implicit.evaluation import ranking_metrics_at_k
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    stored = pl.scan_delta(str(training_set)).filter(ds=SLOT)
    train, hits = (stored.filter(split=split).collect() for split in ("train", "holdout"))
    cells = train.group_by("user_id", "item_id").agg(pl.col("weight").sum())
    users = pl.concat([cells["user_id"], hits["user_id"]]).unique().sort()
    items = pl.concat([cells["item_id"], hits["item_id"]]).unique().sort()

    known, wanted = (csr_matrix(history_matrix(rows, users, items)) for rows in (cells, hits))
    model = AlternatingLeastSquares(FACTORS, REGULARIZATION, ALPHA, iterations=ITERATIONS, random_state=SEED)
    with threadpool_limits(1, "blas"):
        began = time.perf_counter()
        model.fit(known, show_progress=False)
        fitted = time.perf_counter()
        ranking_metrics_at_k(model, known, wanted, K=LENGTH, show_progress=False, num_threads=os.cpu_count())
        ended = time.perf_counter()
    return {
        "fit": fitted - began,
        "evaluation": ended - fitted,
        "rows": cells.height,
        "users": hits["user_id"].n_unique(),
    }


if __name__ == "__main__":
    sys.exit(main())
