"""What every `Observer` does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from api_exchange_core.domain.failure import Problem
from api_exchange_core.ports.observer import Handled, Observer, Outcome
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, TENANT
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.conformance.suite import Suite


class ObserverSuite(Suite):
    """Needs a fixture `observer` that returns the `Observer`."""

    @pytest.mark.parametrize("outcome", list(Outcome))
    def test_every_outcome_can_be_told(self, observer: Observer, outcome: Outcome) -> None:
        observer.handled(Handled(function="f", queue="q", outcome=outcome, attempt=1, duration=timedelta(0)))

    def test_a_full_summary_of_any_script_can_be_told(self, observer: Observer) -> None:
        observer.handled(_full_summary())

    def test_an_event_can_have_any_facts(self, observer: Observer) -> None:
        observer.event("outbox.stuck")
        observer.event("outbox.stuck", count=2**70, ratio=float("nan"), reason=EVERY_SCRIPT, outbox_id=None)

    def test_an_error_passes_through_bound_ids_as_it_is(self, observer: Observer) -> None:
        error = ZeroDivisionError()
        with (
            pytest.raises(ZeroDivisionError) as raised,
            observer.bound(tenant_id=TENANT, attempt=1, entity_id=None),
        ):
            raise error
        assert raised.value is error

    def test_ids_can_be_bound_within_each_other_in_many_threads(self, observer: Observer) -> None:
        def observe(thread: int) -> None:
            with observer.bound(attempt=thread), observer.bound(attempt=thread + 1, function=EVERY_SCRIPT):
                observer.handled(_full_summary())

        all_at_once(observe)


def _full_summary() -> Handled:
    return Handled(
        function="to-canonical",
        queue="orders-in",
        outcome=Outcome.DEAD_LETTERED,
        attempt=5,
        duration=timedelta(days=1, microseconds=1),
        tenant_id=TENANT,
        message_id=EVERY_SCRIPT,
        correlation_id=EVERY_SCRIPT,
        causation_id=EVERY_SCRIPT,
        operation="orders.fetch",
        entities=3,
        new_versions=2,
        outputs=1,
        problem=Problem(
            code="ValueError", reason=EVERY_SCRIPT, fingerprint="0123456789abcdef", permanent=True
        ),
    )
