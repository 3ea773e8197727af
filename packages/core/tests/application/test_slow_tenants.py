"""A tenant whose calls are slow does not use up every batch's time."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from typing_extensions import override

from api_exchange_core import Exchange, Message, ProcessingResult, ProcessorContext, ProcessorInterface
from api_exchange_core.application.processor_handler import ProcessorHandler
from api_exchange_core.domain.names import QueueName
from api_exchange_core.ports.observer import Outcome
from api_exchange_testing import Harness

SLOW, QUICK, OTHER = "customer-a", "customer-b", "customer-c"
INBOX = QueueName("inbox")


class Step(ProcessorInterface):
    def __init__(self) -> None:
        self.called: list[str] = []

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.called.append(message.tenant_id)
        return ProcessingResult.create_success()


class Bench:
    """One function, and a patience that is over as soon as the slow tenant was called."""

    def __init__(self) -> None:
        self.step = Step()
        exchange = Exchange("shop", tenants=[SLOW, QUICK, OTHER])
        self.function = exchange.queue("step", INBOX, self.step)
        self.harness = Harness(exchange)
        self.handler: ProcessorHandler = self.harness._handler

    def work(self, most: int = 9) -> Counter[str]:
        """Handle one batch; how many messages of each tenant were done."""
        before = len(self.step.called)
        deliveries = self.harness.queues.receive(INBOX, max_messages=most, visibility=timedelta(minutes=5))
        settlements = self.handler.handle(
            self.function, deliveries, stop=lambda: SLOW in self.step.called[before:]
        )
        self.harness.queues.settle(settlements)
        return Counter(self.step.called[before:])


def test_the_tenants_that_were_given_back_for_a_slow_one_come_first_in_the_next_batch() -> None:
    bench = Bench()
    for number in range(3):
        for tenant in (SLOW, QUICK, OTHER):
            bench.harness.send(INBOX, {"n": number}, tenant=tenant)
    assert bench.work() == {SLOW: 1}
    assert bench.work() == {QUICK: 3, OTHER: 3, SLOW: 1}
    assert bench.work() == {SLOW: 1}
    assert bench.harness.queues.depths() == {}


def test_a_quick_tenant_gets_on_however_much_a_slow_one_has() -> None:
    bench = Bench()
    for number in range(50):
        bench.harness.send(INBOX, {"n": number}, tenant=SLOW)
    for number in range(12):
        bench.harness.send(INBOX, {"n": number}, tenant=QUICK)
    done = sum((bench.work() for _ in range(8)), Counter[str]())
    assert done[QUICK] == 12
    assert done[SLOW] == 8


def test_what_is_given_back_for_a_slow_tenant_has_spent_no_attempt() -> None:
    bench = Bench()
    for tenant in (SLOW, QUICK):
        bench.harness.send(INBOX, {}, tenant=tenant)
    bench.work()
    assert [one.outcome for one in bench.harness.handled] == [Outcome.COMPLETED, Outcome.GIVEN_BACK]
    (message,) = bench.harness.queues.messages(INBOX)
    assert message.receive_count == 0
