"""The life of a version: each decision is one materialization, and alias, status and history never come apart."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.models.versions import RELEASE
from recsys_assets.registry.promotions import newest_slot_ever_approved, read_approval


def failure(result: Any) -> str:
    (event,) = result.filter_events(lambda event: event.is_step_failure)
    return str(event.step_failure_data.user_failure_data.description)


def test_an_approval_moves_the_alias_tags_the_version_and_is_recorded_with_who_when_and_why(desk: Any) -> None:
    version = desk.trained()
    assert desk.decide("approve", 1, "looks good", by="ada").success
    read = desk.registry.version(desk.name, 1)
    assert (desk.in_use, read.status, read.status_reason, read.tags["approved_by"]) == (
        1,
        "Approved",
        "looks good",
        "ada",
    )
    (recorded,) = desk.history
    assert recorded[1:5] == ("promotion", 1, 0, version.slot)
    assert (recorded.by, recorded.reason, recorded.at) == ("ada", "looks good", read.tags["approved_at"])
    assert desk.standing.is_settled


def test_the_ui_shows_decision_versions_slot_reason_who_and_the_mlflow_run(desk: Any) -> None:
    desk.trained()
    version = desk.trained()
    desk.decide("approve", 1)
    (shown,) = desk.decide("approve", 2, "better", by="ada").asset_materializations_for_node(f"approved__{desk.name}")
    values = {name: entry.value for name, entry in shown.metadata.items()}
    decided_at = values.pop("decided_at")
    assert decided_at > "2026"
    assert values == {
        "decision": "promotion",
        "version": 2,
        "previous_version": 1,
        "slot": str(version.slot),
        "reason": "better",
        "by": "ada",
        "as_of": "",  # no day of the shop played a part
        "mlflow_run_id": version.run_id,
    }
    assert shown.tags["dagster/data_version"] == "2"


def test_a_release_that_was_damaged_since_is_not_put_in_use_and_what_serves_goes_on(desk: Any) -> None:
    desk.trained()
    assert desk.decide("approve", 1).success
    version = desk.trained()
    with desk.registry.artifact(version, RELEASE) as folder:
        (arrays,) = folder.glob("*.npz")
        damaged = bytearray(arrays.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        arrays.write_bytes(bytes(damaged))
        desk.registry.add_artifact(version, folder, RELEASE)
    told = failure(desk.decide("approve", 2))
    assert "version 2 is not put in use" in told
    assert "Train the slot again" in told
    assert (desk.in_use, desk.statuses[2]) == (1, "PendingManualApproval")
    assert desk.standing.is_settled


def test_alone_and_without_a_version_the_gate_approves_the_newest_that_passes(desk: Any) -> None:
    desk.trained(), desk.trained(), desk.trained(passes=False)
    assert desk.run().success
    assert (desk.in_use, desk.history[0].by) == (2, "the gate")
    assert desk.reason(2) == "passed every check of the gate"
    assert "no newer version passes the gate" in failure(desk.run())


def test_of_a_manual_family_nothing_is_approved_until_somebody_does(desk: Any) -> None:
    desk.approval = "manual"
    desk.trained()
    assert f"approval is manual: `recsys approve {desk.name} VERSION" in failure(desk.run())
    assert desk.run(tags={"dagster/backfill": "ui"}).success
    assert (desk.in_use, desk.statuses) == (None, {1: "PendingManualApproval"})
    assert desk.decide("approve", 1).success
    assert (desk.in_use, desk.history[0].by) == (1, "somebody in the Dagster UI")


def test_what_cannot_be_is_refused_with_the_reason_and_changes_nothing(desk: Any) -> None:
    for slot, passes in ((1, True), (2, True), (3, False), (4, True), (0, True)):
        desk.trained(slot, passes=passes)
    desk.decide("approve", 1), desk.decide("approve", 2)
    before = (desk.in_use, desk.statuses, desk.told)
    for decision, version, told in (
        ("approve", 9, "version 9 does not exist; `recsys models` lists what there is"),
        ("approve", 3, "version 3 must not be approved: "),
        ("reject", 9, "version 9 does not exist"),
        ("reject", 2, "version 2 is in production; roll back instead"),
        ("rollback", 2, "version 2 is the one in use"),
        ("rollback", 4, "version 4 is newer than version 2, which is in use; approve it instead"),
        ("rollback", 5, "version 5 was never approved; `recsys models` lists those to go back to"),
        ("rollback", 9, "version 9 does not exist"),
    ):
        assert told in failure(desk.decide(decision, version))
        assert (desk.in_use, desk.statuses, desk.told) == before


@pytest.mark.parametrize("decision", ["reject", "rollback"])
def test_a_decision_against_a_version_needs_a_reason(desk: Any, decision: str) -> None:
    desk.trained()
    assert "say why" in failure(desk.decide(decision, 1, " "))


def test_approving_what_is_in_use_already_is_no_failure_and_no_decision(desk: Any) -> None:
    desk.trained()
    desk.decide("approve", 1, "first")
    assert desk.decide("approve", 1, "again").success
    assert (desk.told, desk.reason(1)) == ([("promotion", 1, 0)], "first")


def test_a_rejection_is_recorded_and_is_no_promotion(desk: Any) -> None:
    first, second = desk.trained(), desk.trained()
    desk.decide("approve", 1)
    promoted = read_approval(desk.instance, desk.name)
    result = desk.decide("reject", 2, "covers are missing", by="ada")
    assert desk.told == [("promotion", 1, 0), ("rejection", 2, 1)]
    assert (desk.in_use, desk.statuses, desk.reason(2)) == (1, {2: "Rejected", 1: "Approved"}, "covers are missing")
    assert read_approval(desk.instance, desk.name) == promoted
    assert newest_slot_ever_approved(desk.instance, desk.name) == first.slot < second.slot
    (shown,) = result.asset_materializations_for_node(f"approved__{desk.name}")
    assert shown.tags["dagster/data_version"] == "1"  # what serves is as it was
    assert desk.decide("reject", 2, "again").success
    assert len(desk.told) == 2


def test_rejections_however_many_do_not_hide_the_promotion(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys_assets.registry.promotions.RECORDS_PER_PAGE", 2)
    for _ in range(5):
        desk.trained()
    desk.decide("approve", 1)
    for version in (2, 3, 4, 5):
        desk.decide("reject", version)
    approval = read_approval(desk.instance, desk.name)
    assert approval is not None
    assert approval.version == 1
    assert [version for _, version, _ in desk.told] == [1, 2, 3, 4, 5]


def test_a_person_may_overrule_a_rejection(desk: Any) -> None:
    desk.trained()
    desk.decide("reject", 1, "too early")
    desk.decide("approve", 1, "time has come")
    assert (desk.in_use, desk.statuses) == (1, {1: "Approved"})


def test_a_rollback_goes_to_the_newest_approved_version_before_and_refuses_the_one_it_leaves(desk: Any) -> None:
    for _ in range(4):
        desk.trained()
    for version in (1, 2, 4):  # version 3 was never approved
        desk.decide("approve", version)
    assert desk.decide("rollback", reason="sells less", by="ada").success
    assert desk.told[-1] == ("rollback", 2, 4)
    assert (desk.in_use, desk.statuses[4]) == (2, "Rejected")
    assert desk.reason(4) == "rolled back to version 2: sells less"
    desk.decide("rollback", reason="still less")
    assert (desk.in_use, desk.told[-1]) == (1, ("rollback", 1, 2))


def test_a_rollback_may_name_a_version_that_was_approved_before_even_if_rejected_since(desk: Any) -> None:
    for _ in range(3):
        desk.trained()
    for version in (1, 2, 3):
        desk.decide("approve", version)
    desk.decide("rollback", 1)
    desk.decide("approve", 3)
    desk.decide("rollback", 1)
    assert (desk.in_use, desk.told[-1]) == (1, ("rollback", 1, 3))
    assert desk.statuses == {1: "Approved", 2: "Approved", 3: "Rejected"}


def test_a_check_that_was_invented_later_keeps_nobody_from_going_back(desk: Any) -> None:
    first = desk.trained()
    desk.trained()
    desk.decide("approve", 1), desk.decide("approve", 2)
    desk.judged(first, checks={"ndcg_above_floor"})
    assert "no stored verdict" in failure(desk.decide("approve", 1))
    assert desk.decide("rollback").success
    assert desk.in_use == 1


@pytest.mark.parametrize("checks", [None, set()], ids=["failed", "none"])
def test_nobody_goes_back_to_a_version_without_passing_verdicts(desk: Any, checks: set[str] | None) -> None:
    first = desk.trained()
    desk.trained()
    desk.decide("approve", 1), desk.decide("approve", 2)
    desk.judged(first, passes=False, checks=checks)
    assert "version 1 must not be approved" in failure(desk.decide("rollback", 1))
    assert desk.in_use == 2


def test_with_nothing_to_go_back_to_nothing_serves_and_that_is_recorded(desk: Any) -> None:
    desk.trained()
    desk.decide("approve", 1)
    assert desk.decide("rollback", reason="nonsense").success
    assert (desk.in_use, desk.statuses, desk.told[-1]) == (None, {1: "Rejected"}, ("rollback", 0, 1))
    assert read_approval(desk.instance, desk.name) is None
    assert desk.standing.is_settled
    assert "no version is in use, so there is nothing to roll back" in failure(desk.decide("rollback"))


def test_the_fallback_is_never_left_without_a_version(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys_assets.registry.deciding.FALLBACK_FAMILY", desk.name)
    desk.trained()
    desk.decide("approve", 1)
    assert "without the fallback nothing could be recommended" in failure(desk.decide("rollback"))
    assert desk.in_use == 1


class TestKilledOnTheWay:
    """An approval of version 2 writes: intent, alias, four tags; then it is recorded and the intent forgotten."""

    WRITES = ("intent", "alias", "approval_status", "status_reason", "approved_by", "approved_at", "forget")

    @pytest.mark.parametrize(
        ("after", "then"),
        [
            *((after, "record") for after in range(1, len(WRITES) + 1)),
            (1, "the same again"),
            (2, "the same again"),
            (2, "a backfill"),
        ],
    )
    def test_after_any_write_the_next_run_completes_or_undoes_it(self, desk: Any, after: int, then: str) -> None:
        desk.trained(), desk.trained()
        desk.decide("approve", 1)
        assert tuple(desk.dies("approve", 2, after)) == self.WRITES[:after]
        assert desk.standing.is_settled == (after == len(self.WRITES))
        if then == "record":
            desk.decide("record")
        elif then == "the same again":
            assert desk.decide("approve", 2).success
        else:
            desk.run(tags={"dagster/backfill": "ui"})
        assert desk.standing.is_settled
        is_done = after > 1 or then != "record"
        assert desk.told == [("promotion", 1, 0), ("promotion", 2, 1)][: 1 + is_done]
        assert (desk.in_use, desk.statuses[2]) == ((2, "Approved") if is_done else (1, "PendingManualApproval"))

    def test_between_record_and_forgetting_nothing_is_recorded_twice(self, desk: Any) -> None:
        desk.trained()
        desk.dies("approve", 1, len(self.WRITES), is_before=True)
        assert desk.told == [("promotion", 1, 0)]
        assert not desk.standing.is_settled
        desk.decide("record")
        assert desk.standing.is_settled
        assert desk.told == [("promotion", 1, 0)]

    @pytest.mark.parametrize("after", range(2, 9))
    def test_a_rollback_is_completed_with_the_refusal_of_what_it_left(self, desk: Any, after: int) -> None:
        desk.trained(), desk.trained()
        desk.decide("approve", 1), desk.decide("approve", 2)
        desk.dies("rollback", 0, after)
        desk.decide("record")
        assert desk.told[2:] == [("rollback", 1, 2)]
        assert (desk.in_use, desk.statuses, desk.reason(2)) == (
            1,
            {1: "Approved", 2: "Rejected"},
            "rolled back to version 1: because",
        )

    @pytest.mark.parametrize("after", range(1, 4))
    def test_a_rejection_is_completed(self, desk: Any, after: int) -> None:
        desk.trained(), desk.trained()
        desk.decide("approve", 1)
        desk.dies("reject", 2, after)
        desk.decide("record")
        assert desk.told[1:] == [("rejection", 2, 1)]
        assert (desk.in_use, desk.statuses[2], desk.reason(2)) == (1, "Rejected", "because")
        assert desk.standing.is_settled

    def test_what_was_recorded_late_says_who_decided_and_when(self, desk: Any) -> None:
        desk.trained()
        desk.dies("approve", 1, 2)
        intent = desk.standing.intent
        desk.decide("record", by="the next run", reason="another")
        (recorded,) = desk.history
        assert (recorded.at, recorded.reason, recorded.by) == (intent.at, "because", "somebody in the Dagster UI")

    def test_an_alias_moved_by_hand_meanwhile_overrules_the_decision_that_was_left(self, desk: Any) -> None:
        versions = [desk.trained() for _ in range(3)]
        desk.decide("approve", 1)
        desk.dies("approve", 2, 1)
        desk.registry.point_approved_at(versions[2])
        desk.decide("record")
        assert desk.told[1:] == [("noticed", 3, 1)]
        assert (desk.in_use, desk.statuses) == (3, {3: "Approved", 2: "PendingManualApproval", 1: "Approved"})
        assert desk.standing.is_settled


class TestNoticed:
    """What somebody did in MLflow itself."""

    def test_an_alias_moved_by_hand_is_recorded_and_its_version_approved(self, desk: Any) -> None:
        desk.trained()
        second = desk.trained(passes=False)
        desk.decide("approve", 1)
        desk.registry.point_approved_at(second)
        assert not desk.standing.is_settled
        assert desk.decide("record").success
        assert (desk.told[-1], desk.history[-1].by) == (("noticed", 2, 1), "somebody in MLflow")
        assert desk.statuses == {2: "Approved", 1: "Approved"}
        assert desk.reason(2).startswith("the alias was moved in MLflow by hand, although it would have been refused: ")
        approval = read_approval(desk.instance, desk.name)
        assert approval is not None
        assert approval.version == 2
        assert desk.standing.is_settled

    def test_an_alias_moved_back_by_hand_refuses_the_version_that_it_left(self, desk: Any) -> None:
        first, _ = desk.trained(), desk.trained()
        desk.decide("approve", 1), desk.decide("approve", 2)
        desk.registry.point_approved_at(first)
        desk.run(tags={"dagster/backfill": "ui"})
        assert (desk.in_use, desk.statuses) == (1, {1: "Approved", 2: "Rejected"})
        assert desk.reason(2) == "rolled back to version 1: the alias was moved in MLflow by hand"

    def test_an_alias_removed_by_hand_means_that_nothing_serves(self, desk: Any) -> None:
        desk.trained()
        desk.decide("approve", 1)
        desk.registry.remove_approved(desk.name)
        desk.decide("record")
        assert (desk.in_use, desk.statuses, desk.told[-1]) == (None, {1: "Rejected"}, ("noticed", 0, 1))
        assert desk.standing.is_settled

    def test_what_is_in_use_stays_approved_whatever_its_status_was_set_to(self, desk: Any) -> None:
        version = desk.trained()
        desk.decide("approve", 1)
        desk.registry.set_status(version, "Rejected", "I clicked something")
        desk.decide("record")
        assert (desk.in_use, desk.statuses, desk.told[-1]) == (1, {1: "Approved"}, ("noticed", 1, 1))
        assert "set to Rejected in MLflow by hand" in desk.reason(1)

    def test_a_history_that_was_lost_begins_with_what_is_in_use(self, desk: Any) -> None:
        desk.registry.point_approved_at(desk.trained())
        desk.decide("record")
        assert desk.told == [("noticed", 1, 0)]

    def test_when_all_agrees_nothing_is_recorded(self, desk: Any) -> None:
        desk.trained()
        assert desk.decide("record").success
        desk.decide("approve", 1)
        assert desk.decide("record").success
        assert desk.told == [("promotion", 1, 0)]

    def test_the_next_run_of_a_slot_records_it_before_it_approves(self, desk: Any) -> None:
        versions = [desk.trained() for _ in range(3)]
        desk.decide("approve", 2)
        desk.registry.point_approved_at(versions[0])
        assert desk.run().success
        assert desk.told == [("promotion", 2, 0), ("noticed", 1, 2), ("promotion", 3, 1)]
        assert desk.statuses == {3: "Approved", 2: "Rejected", 1: "Approved"}


def test_whoever_did_not_see_the_newest_decision_is_told_of_it(desk: Any) -> None:
    desk.trained(), desk.trained(), desk.trained()
    desk.decide("approve", 1)
    seen = desk.history[-1].event_id
    assert desk.decide("approve", 2, "mine", by="ada", seen=seen).success
    for decision, version in (("approve", 3), ("reject", 3), ("rollback", 0)):
        told = failure(desk.decide(decision, version, by="bob", seen=seen))
        assert "meanwhile version 2 was put in use (promotion) by ada: mine; look at `recsys models`" in told
    assert (desk.in_use, desk.told) == (2, [("promotion", 1, 0), ("promotion", 2, 1)])
    assert desk.decide("approve", 3, by="bob", seen=desk.history[-1].event_id).success


decisions = st.tuples(
    st.sampled_from(("approve", "approve", "reject", "rollback", "alias", "status")),
    st.integers(0, 4),
    st.integers(1, 9),
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(decisions, min_size=4, max_size=8))
def test_whatever_is_decided_and_whenever_it_dies_the_next_run_brings_alias_status_and_history_together(
    desk: Any, asked: list[tuple[str, int, int]]
) -> None:
    while desk.registered < 4:
        desk.trained()
    for decision, version, dies_after in asked:
        if decision == "alias":
            desk.registry.point_approved_at(desk.registry.version(desk.name, version or 1))
        elif decision == "status":
            desk.registry.set_status(desk.registry.version(desk.name, version or 1), "Rejected", "clicked")
        else:
            desk.dies(decision, version, dies_after)
    desk.decide("record")
    standing = desk.standing
    assert standing.is_settled
    assert standing.in_use is None or desk.statuses[standing.in_use.version] == "Approved"
    moments = [one.at for one in desk.history]
    assert moments == sorted(set(moments))  # nothing is recorded twice, or out of its order
    desk.approval = "manual"
    before = desk.in_use
    assert desk.run(tags={"dagster/backfill": "ui"}).success
    assert (desk.in_use, desk.standing) == (before, standing)
