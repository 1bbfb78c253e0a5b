"""What depends on a changed line of `recsys.yaml` is done again by the next run, and nothing else."""

from collections.abc import Callable
from typing import Any

from recsys_assets.cli.installation import Installation
from recsys_assets.columns import FINAL_RECOMMENDATIONS
from recsys_assets.platform import Platform
from recsys_assets.serving.generations import current

RunAll = Callable[..., Any]


def changed(installation: Installation, *path: str, value: Any) -> Installation:
    """The same installation after somebody edited one value of its configuration."""
    content = installation.platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return Installation(installation.settings, Platform.model_validate(content))


def jobs(runs: list[Any]) -> list[str]:
    assert all(one.errors == () for one in runs)
    return [one.start.job for one in runs]


def test_a_shorter_list_is_recommended_again_without_training(copied: Installation, run_all: RunAll) -> None:
    shorter = changed(copied, "recommendations", "list_length", value=20)
    assert jobs(run_all(shorter)) == ["recommend"]
    lengths = shorter.lake.scan(FINAL_RECOMMENDATIONS).collect()["item_ids"].list.len()
    assert lengths.max() == 20
    assert run_all(shorter) == []


def test_another_gate_judges_the_newest_slot_again(copied: Installation, run_all: RunAll) -> None:
    strict = changed(copied, "families", "als", "gate", "min_ndcg_at_10", value=0.9)
    before = strict.model_registry.approved("als")
    runs = run_all(strict)
    assert jobs(runs) == ["train", "recommend"]  # popularity was trained and approved anew
    assert [refusal.split(":")[0] for refusal in runs[0].refusals] == ["validation/als ndcg_above_floor"]
    assert strict.model_registry.approved("als") == before
    assert run_all(strict) == []


def test_a_corrected_mapping_ingests_again(copied: Installation, run_all: RunAll) -> None:
    rules = [{"reason": "no_gifts", "when": [{"column": "book", "matches": "^GIFT-"}]}]
    renamed = changed(copied, "sources", "events", "reject", value=rules)
    assert jobs(run_all(renamed)) == ["ingest", "recommend"]


def test_an_emptied_online_store_is_filled_again(copied: Installation, run_all: RunAll) -> None:
    client = copied.online_store.connect()
    client.flushall()
    assert jobs(run_all(copied)) == ["recommend"]
    assert current(client) is not None
    client.close()
