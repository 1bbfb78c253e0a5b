"""Which version may be approved: decided by slots, statuses and stored verdicts alone."""

from datetime import UTC, date, datetime, timedelta

import pytest

from recsys_assets.registry.approval import Nothing, Objections, RefusedError, choose_version
from resources.model_registry import ModelVersion, Status

FIRST_SLOT = date(2026, 3, 2)


def version(number: int, slot: int | None = None, status: Status = "PendingManualApproval") -> ModelVersion:
    """Version `number` of the slot-th slot; by default every version has a slot of its own."""
    return ModelVersion(
        family="als",
        version=number,
        run_id=f"run-{number}",
        status=status,
        status_reason="worse online",
        slot=FIRST_SLOT + timedelta(days=number if slot is None else slot),
        tags={},
        created_at=datetime(2026, 3, 2, tzinfo=UTC),
    )


def key(slot: int) -> str:
    return str(FIRST_SLOT + timedelta(days=slot))


def nothing_against(_: ModelVersion) -> list[str]:
    return []


def against(*numbers: int) -> Objections:
    return lambda one: ["NDCG too low"] if one.version in numbers else []


def test_alone_the_newest_slot_that_passes_is_chosen_in_whatever_order_versions_are_listed() -> None:
    versions = [version(2), version(4, slot=1), version(3)]
    assert choose_version(versions, None, nothing_against) == version(3)
    assert choose_version(versions[::-1], None, against(3)) == version(2)


def test_of_two_versions_of_one_slot_the_one_trained_later_is_chosen() -> None:
    assert choose_version([version(1, slot=5), version(2, slot=5)], None, nothing_against) == version(2, slot=5)


def test_a_slot_that_was_trained_again_replaces_what_is_in_use() -> None:
    versions = [version(1, slot=5), version(2, slot=5)]
    assert choose_version(versions, version(1, slot=5), nothing_against) == version(2, slot=5)


def test_alone_nothing_older_than_what_is_in_use_is_chosen() -> None:
    versions = [version(1), version(2), version(9, slot=0)]  # version 9 is a backfill of an older slot
    assert choose_version(versions, version(2), nothing_against) == Nothing("no newer version passes the gate")


def test_finding_nothing_says_what_stands_against_the_three_newest() -> None:
    chosen = choose_version([version(one) for one in range(1, 6)], version(1), against(2, 3, 4, 5))
    assert isinstance(chosen, Nothing)
    reasons = [f"version {number} ({key(number)}): NDCG too low" for number in (5, 4, 3)]
    assert chosen.reason == f"no newer version passes the gate: {'; '.join(reasons)}"


def test_without_any_version_there_is_nothing() -> None:
    assert choose_version([], None, nothing_against) == Nothing("no newer version passes the gate")


def test_a_version_that_a_rollback_rejected_does_not_come_back_by_itself() -> None:
    versions = [version(1, status="Approved"), version(2, status="Rejected")]
    chosen = choose_version(versions, versions[0], nothing_against)
    assert isinstance(chosen, Nothing)
    assert "it was rejected: worse online" in chosen.reason


def test_a_version_that_was_in_production_and_was_left_does_not_come_back_by_itself() -> None:
    versions = [version(1, status="Approved"), version(2, status="Approved")]
    assert choose_version(versions, versions[0], nothing_against) == Nothing("no newer version passes the gate")
    chosen = choose_version(versions, versions[0], nothing_against, slot_key=key(2))
    assert chosen == Nothing("version 2 was in production and was left")
    assert choose_version(versions, versions[0], nothing_against, asked=2) == versions[1]


def test_in_the_run_of_a_slot_its_newest_version_is_chosen() -> None:
    versions = [version(1, slot=5), version(2, slot=5), version(3, slot=7)]
    assert choose_version(versions, None, nothing_against, slot_key=key(5)) == version(2, slot=5)


def test_in_the_run_of_a_slot_no_other_version_steps_in_for_the_one_that_failed() -> None:
    versions = [version(1, slot=5), version(2, slot=5), version(3, slot=4)]
    with pytest.raises(RefusedError, match=f"the candidate of slot {key(5)} must not be approved: NDCG too low"):
        choose_version(versions, None, against(2), slot_key=key(5))


def test_in_the_run_of_a_slot_a_rejected_candidate_is_refused() -> None:
    with pytest.raises(RefusedError, match="it was rejected: worse online"):
        choose_version([version(1, status="Rejected")], None, nothing_against, slot_key=key(1))


def test_the_run_of_a_slot_without_a_candidate_is_refused() -> None:
    with pytest.raises(RefusedError, match=f"the candidate of slot {key(3)} does not exist; `recsys models`"):
        choose_version([version(1)], None, nothing_against, slot_key=key(3))


def test_the_run_of_an_older_slot_changes_nothing() -> None:
    chosen = choose_version([version(1), version(2)], version(2), nothing_against, slot_key=key(1))
    assert chosen == Nothing(f"slot {key(1)} is not newer than what is in use")


def test_the_run_of_the_slot_in_use_changes_nothing() -> None:
    chosen = choose_version([version(2)], version(2), nothing_against, slot_key=key(2))
    assert isinstance(chosen, Nothing)


def test_a_failed_candidate_of_an_older_slot_is_still_refused() -> None:
    with pytest.raises(RefusedError):
        choose_version([version(1), version(2)], version(2), against(1), slot_key=key(1))


def test_a_person_may_go_back_to_an_older_version() -> None:
    assert choose_version([version(1), version(2)], version(2), nothing_against, asked=1) == version(1)


def test_a_person_who_names_a_version_overrules_the_slot_and_a_rejection() -> None:
    versions = [version(1, status="Rejected"), version(2)]
    assert choose_version(versions, version(2), nothing_against, asked=1, slot_key=key(2)) == versions[0]


def test_a_person_cannot_overrule_a_verdict_and_hears_all_of_them() -> None:
    with pytest.raises(RefusedError, match="version 1 must not be approved: no floor; no users"):
        choose_version([version(1)], None, lambda _: ["no floor", "no users"], asked=1)


def test_a_version_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RefusedError, match="version 3 does not exist; `recsys models` lists what there is"):
        choose_version([version(1)], None, nothing_against, asked=3)
