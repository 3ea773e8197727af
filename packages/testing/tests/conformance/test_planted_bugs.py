"""A suite that wrong adapters pass is worth nothing: each planted bug is found by the test that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_exchange_testing.conformance import ClockSuite

pytest_plugins = ["pytester"]

_PLANTED = Path(__file__).with_name("planted_bugs.py")


@pytest.mark.parametrize(
    ("wrong_adapter", "found_by"),
    [
        ("TestDeliversOnce", {"test_an_unsettled_message_is_delivered_again_and_again_with_a_higher_count"}),
        ("TestNeverHides", {"test_a_received_message_is_invisible_for_its_timeout"}),
        (
            "TestCountsDeferrals",
            {
                "test_however_often_a_message_is_given_back_untouched_it_is_the_first_attempt",
                "test_a_deferred_message_comes_back_after_its_wait_and_no_attempt_is_spent",
            },
        ),
        ("TestForgetsOrder", {"test_messages_of_one_call_with_the_same_ordering_key_keep_their_order"}),
        (
            "TestServesTheOldestAlone",
            {
                "test_a_tenant_with_many_messages_leaves_another_its_share",
                "test_with_more_tenants_than_are_received_at_once_none_waits_for_ever",
            },
        ),
        ("TestTakesOldReceipts", {"test_a_receipt_is_worthless_once_the_message_was_delivered_again"}),
        (
            "TestIgnoresTenants",
            {
                "test_entities_of_two_tenants_are_kept_apart",
                "test_journals_of_two_tenants_are_kept_apart",
                "test_units_of_work_of_two_tenants_see_their_own_only",
            },
        ),
        (
            "TestWithoutCompareAndSet",
            {
                "test_a_write_on_another_version_than_the_stored_one_is_refused",
                "test_of_many_that_create_an_entity_one_wins",
            },
        ),
        ("TestLocksNothing", {"test_others_wait_for_who_has_locked_a_head"}),
        (
            "TestAlwaysAccepts",
            {
                "test_a_message_that_was_completed_before_is_a_duplicate",
                "test_of_many_that_complete_a_message_at_once_one_is_accepted",
            },
        ),
        (
            "TestWithoutFence",
            {
                "test_who_lost_the_claim_completes_nothing_of_the_unit_of_work",
                "test_who_lost_the_claim_cannot_fail_over_the_successor_nor_its_completion",
            },
        ),
        (
            "TestExtendsForAnybody",
            {"test_who_extends_what_is_not_theirs_any_more_is_told_and_changes_nothing"},
        ),
        (
            "TestCommitsAnyway",
            {"test_leaving_without_commit_writes_nothing", "test_what_is_rolled_back_was_never_completed"},
        ),
        (
            "TestRelaysWithoutLease",
            {
                "test_a_claimed_row_is_nobody_elses_until_the_lease_ends",
                "test_no_row_is_claimed_while_an_older_one_of_its_key_is_claimed_by_another",
                "test_of_many_relays_one_claims_a_row",
            },
        ),
        (
            "TestForgetsItsTries",
            {
                "test_a_postponed_row_is_claimed_again_at_its_time_and_says_how_often_it_was_postponed",
                "test_later_rows_of_its_key_do_not_wait_for_a_postponed_one",
            },
        ),
        ("TestOutlivesItsTime", {"test_one_whose_time_was_up_gives_back_nothing_of_its_successor"}),
        ("TestAcknowledgesAtOnce", {"test_what_is_rolled_back_is_neither_sent_nor_acknowledged"}),
        (
            "TestSeesNoFailure",
            {
                "test_messages_are_counted_by_the_state_that_they_are_in",
                "test_a_function_whose_messages_all_failed_has_no_share_of_success",
            },
        ),
        (
            "TestNeverComesBack",
            {
                "test_what_happens_again_after_it_was_resolved_is_regressed_until_it_is_resolved_again",
                "test_it_can_be_resolved_for_one_tenant_and_is_open_for_all_as_long_as_for_one",
            },
        ),
        ("TestShowsEverybodysMessages", {"test_messages_are_listed_newest_first_and_filtered"}),
        (
            "TestLastWriterWins",
            {
                "test_a_write_on_another_version_than_the_one_that_is_kept_is_refused",
                "test_of_many_that_write_the_same_version_one_wins",
            },
        ),
        ("TestSealsForAnybody", {"test_what_was_sealed_for_one_thing_is_nothing_as_another"}),
        ("TestFollowsNames", {"test_no_name_leads_out_of_the_tenants_folder"}),
    ],
)
def test_a_planted_bug_is_found(pytester: pytest.Pytester, wrong_adapter: str, found_by: set[str]) -> None:
    run = pytester.inline_run("-p", "no:cacheprovider", f"{_PLANTED}::{wrong_adapter}")
    passed, _, failed = run.listoutcomes()
    assert found_by <= {_name(report) for report in failed}
    assert passed, "the adapter is wrong in more than its one point"


def test_every_planted_bug_is_tried() -> None:
    (parametrized,) = test_a_planted_bug_is_found.pytestmark  # type: ignore[attr-defined]  # pytest sets it
    tried = {name for name, _ in parametrized.args[1]}
    planted = {
        line.split()[1].partition("(")[0]
        for line in _PLANTED.read_text().splitlines()
        if "class Test" in line
    }
    assert tried == planted


def test_a_failure_shows_the_values_and_not_only_that_something_failed(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", f"{_PLANTED}::TestAlwaysAccepts")
    result.stdout.fnmatch_lines(["E*Extra items in the left set:*", "E*'message-1'"])


def test_a_subclass_cannot_replace_a_test() -> None:
    with pytest.raises(
        TypeError, match=r"test_the_time_is_aware_and_in_utc is defined by .*Lenient and ClockSuite"
    ):

        class Lenient(ClockSuite):
            def test_the_time_is_aware_and_in_utc(self) -> None:  # type: ignore[override]  # the point
                pass


def test_a_subclass_cannot_switch_a_test_off() -> None:
    with pytest.raises(TypeError, match="is passed as it is"):

        class Silent(ClockSuite):
            test_the_time_is_aware_and_in_utc = None  # type: ignore[assignment]  # the point


def test_a_class_beside_the_suite_cannot_replace_a_test_either() -> None:
    class Lenient:
        def test_the_time_is_aware_and_in_utc(self) -> None:
            pass

    with pytest.raises(TypeError, match="is passed as it is"):

        class Combined(Lenient, ClockSuite):  # type: ignore[misc]  # the point
            pass


def _name(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.nodeid.rpartition("::")[2].partition("[")[0]
