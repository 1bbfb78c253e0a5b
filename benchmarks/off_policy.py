"""What one policy of the Open Bandit logs would get, estimated from the log of the other, against what it really got.

Usage: `python benchmarks/off_policy.py [folder of the Open Bandit files]`.
"""

import sys
from pathlib import Path

import polars as pl

from recsys_assets.monitoring.off_policy import (
    Figure,
    NoEstimateError,
    OffPolicy,
    estimate,
    item_frequencies,
    with_targets,
)

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "open_bandit"
POLICIES = (("random", "bts"), ("bts", "random"))
"""Whose log says what of whom."""
CLIP = 100.0
"""The other way round some propensities are tiny; without a limit a single impression would decide."""


def main() -> int:
    """Print the table; 1 where the data are missing, or an interval from the random log misses."""
    file = Path(sys.argv[1] if len(sys.argv) > 1 else DATA) / "impressions.parquet"
    if not file.is_file():
        print(f"needs {file}")
        return 1
    logs = pl.read_parquet(file).select(
        "policy", "campaign", "position", "item_id", unit="timestamp", is_clicked=pl.col("click") == 1,
        propensity="propensity_score",
    )  # fmt: skip
    print("Open Bandit, 10,000 impressions a log: CTR in percent, with 95 % intervals")
    print(f"{'':30}{'really':>8}{'IPS':>26}{'SNIPS':>26}{'effective':>11}{'mean weight':>13}")
    misses = 0
    for logged, wanted in POLICIES:
        for (campaign,), rows in logs.group_by("campaign", maintain_order=True):
            log, own = rows.filter(policy=logged), rows.filter(policy=wanted)
            truth = own.select(pl.col("is_clicked").mean()).item()
            label = f"{wanted} from {logged}, {campaign}"
            try:
                found = estimate(with_targets(log, item_frequencies(own)), None if logged == "random" else CLIP)
            except NoEstimateError as error:
                print(f"{label:30}{truth:8.2%}   {error}")
                continue
            print(f"{label:30}{truth:8.2%}{in_words(found)}")
            misses += logged == "random" and not all(one.low < truth < one.high for one in (found.ips, found.snips))
    return int(misses > 0)


def in_words(found: OffPolicy) -> str:
    """The estimates of one line."""
    return f"{one(found.ips):>26}{one(found.snips):>26}{found.effective:11,.0f}{found.weight.value:13.2f}"


def one(figure: Figure) -> str:
    """An estimate with its interval."""
    return f"{figure.value:.2%} [{figure.low:.2%}, {figure.high:.2%}]"


if __name__ == "__main__":
    sys.exit(main())
