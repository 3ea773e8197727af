"""What every `Observer` does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId
from api_exchange_core.domain.trace_context import TraceContext
from api_exchange_core.ports.observer import Handled, Observer, Outcome
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, FUNCTION, NOW, QUEUE, TENANT
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.conformance.suite import Suite

MADE_IN = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "congo=t61rcWkgMzE")


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

    @pytest.mark.parametrize("waited", [timedelta(0), timedelta(seconds=1), timedelta(days=1)])
    def test_a_wait_for_a_token_can_be_told(self, observer: Observer, waited: timedelta) -> None:
        observer.token_waited(TENANT, api=EVERY_SCRIPT, waited=waited)

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

    def test_a_trace_that_comes_in_goes_on(self, observer: Observer) -> None:
        trace = observer.trace(_message(MADE_IN), function=FUNCTION, queue=QUEUE, attempt=1)
        assert trace.context is not None

    def test_a_message_can_come_without_a_trace(self, observer: Observer) -> None:
        trace = observer.trace(_message(None), function=FUNCTION, queue=QUEUE, attempt=1)
        with trace.running():
            pass
        observer.handled(replace(_full_summary(), trace=trace, trace_context=trace.context))

    def test_a_call_that_comes_to_nothing_can_be_told(self, observer: Observer) -> None:
        trace = observer.trace(_message(MADE_IN), function=FUNCTION, queue=QUEUE, attempt=1)
        observer.abandoned(trace, "ClaimLostError")

    def test_an_error_passes_through_whatever_is_around_work(self, observer: Observer) -> None:
        trace = observer.trace(_message(MADE_IN), function=FUNCTION, queue=QUEUE, attempt=1)
        error = ZeroDivisionError()
        for around in (
            trace.running(),
            observer.batch(FUNCTION, queue=QUEUE, count=2),
            observer.sending(QUEUE, parent=MADE_IN),
        ):
            with pytest.raises(ZeroDivisionError) as raised, around:
                raise error
            assert raised.value is error

    def test_a_message_that_is_sent_for_somebody_carries_their_trace_on(self, observer: Observer) -> None:
        with observer.sending(QUEUE, parent=MADE_IN) as carried:
            assert carried is not None
            assert carried.trace_id == MADE_IN.trace_id

    def test_messages_can_be_traced_side_by_side(self, observer: Observer) -> None:
        def observe(_: int) -> None:
            with observer.batch(FUNCTION, queue=QUEUE, count=2):
                for _ in range(2):
                    trace = observer.trace(_message(MADE_IN), function=FUNCTION, queue=QUEUE, attempt=1)
                    with trace.running():
                        assert trace.context is not None
                    observer.handled(replace(_full_summary(), trace=trace))

        all_at_once(observe)


def _message(trace: TraceContext | None) -> Message:
    return Message(
        id=MessageId("m-1"),
        tenant_id=TENANT,
        source="/shop",
        payload=None,
        time=NOW,
        correlation_id="c-1",
        trace=trace,
    )


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
