"""What a processor's own code finds of the framework while a call is running, and only then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from api_exchange_core import (
    DeclarationError,
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
)
from api_exchange_core.application.services import Services, current_deadline, current_services
from api_exchange_core.domain.deadline import NO_DEADLINE, Deadline
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_testing.container import in_memory_container

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Look(ProcessorInterface):
    def __init__(self) -> None:
        self.found: list[tuple[Services, Deadline, Deadline]] = []

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.found.append((current_services(), current_deadline(), context.deadline))
        return ProcessingResult.create_success()


class LookAsync(Look):
    @override
    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # type: ignore[override]  # `process` may be either, which the base's type cannot say
        return super().process(message, context)


@pytest.mark.parametrize("kind", [Look, LookAsync])
def test_a_processor_finds_services_and_deadline_of_its_call_and_nobody_else_does(kind: type[Look]) -> None:
    look = kind()
    exchange = Exchange("shop", tenants=["customer-a"])
    function = exchange.queue("look", "inbox", look)
    container = in_memory_container(exchange)
    container.use_cases.sender().send(QueueName("inbox"), {}, tenant_id=TenantId("customer-a"))
    deliveries = container.queue().receive(
        QueueName("inbox"), max_messages=1, visibility=timedelta(minutes=1)
    )
    deadline = Deadline(NOON)
    container.use_cases.handler().handle(function, deliveries, deadline=deadline)
    container.use_cases.calls().close()
    assert look.found == [(container.use_cases.services(), deadline, deadline)]
    with pytest.raises(DeclarationError, match="nothing is at work here"):
        current_services()


def test_outside_functions_a_block_says_whose_services_are_meant() -> None:
    services = in_memory_container(Exchange("shop", tenants=["customer-a"])).use_cases.services()
    with services.at_work():
        assert current_services() is services
        assert current_deadline() is NO_DEADLINE


def test_a_deadline_is_near_when_less_time_is_left_than_is_needed_or_the_process_is_about_to_end() -> None:
    deadline = Deadline(NOON)
    assert not deadline.is_within(SECOND, now=NOON - SECOND)
    assert deadline.is_within(SECOND * 1.001, now=NOON - SECOND)
    assert Deadline(NOON, is_called_off=lambda: True).is_within(SECOND, now=NOON - 10 * SECOND)
    assert not NO_DEADLINE.is_within(timedelta(days=365), now=NOON)
