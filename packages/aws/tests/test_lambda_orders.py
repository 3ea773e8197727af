"""Ticks, chores and messages sent by hand, and events that nothing takes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from api_exchange_core import (
    DeclarationError,
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    Schedule,
)
from api_exchange_core.domain.errors import InvalidPayloadError, TenantError
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing.events import event
from packages.aws.tests.deployment import Deployment, sqlite
from packages.aws.tests.ministack.server import Ministack


class Order(BaseModel):
    id: str


class Take(ProcessorInterface):
    payload_model = Order

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


class Fetch(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


@pytest.fixture
def deployed(ministack: Ministack, tmp_path: Path) -> Iterator[Deployment]:
    exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
    exchange.timer("fetch-orders", Schedule.every(minutes=5), Fetch)
    exchange.queue("take-orders", "orders-in", Take)
    deployment = Deployment.of(exchange, ministack, sqlite(tmp_path))
    deployment.create_queues("fetch-orders", "orders-in")
    yield deployment
    deployment.container.engine().dispose()


@pytest.mark.parametrize("document", ["aws/rule", "aws/scheduler"])
def test_a_rule_or_schedule_with_the_name_of_a_function_fires_it_once_a_tenant(
    deployed: Deployment, document: str
) -> None:
    answer = deployed.invoke(event(document))
    assert answer == {"tick": "fetch-orders", "scheduled_at": "2026-01-01T00:05:00+00:00", "tenants": 2}
    ticks = deployed.messages("fetch-orders")
    assert sorted((tick.tenant_id, str(tick.payload)) for tick in ticks) == [
        (tenant, "{'scheduled_at': '2026-01-01T00:05:00+00:00'}") for tenant in ("customer-a", "customer-b")
    ]


def test_a_tick_that_comes_twice_and_late_is_the_same_messages(deployed: Deployment) -> None:
    deployed.invoke(event("aws/rule"))
    deployed.invoke(event("aws/rule") | {"time": "2026-01-01T00:05:47Z"})
    deployed.invoke(
        {"api-exchange": {"tick": "fetch-orders", "scheduled_at": "2026-01-01T00:05:00Z"}},
    )
    assert len({message.id for message in deployed.messages("fetch-orders")}) == 2


def test_the_name_of_a_rule_may_begin_with_the_prefix(deployed: Deployment) -> None:
    arn = "arn:aws:events:eu-west-1:123456789012:rule/a-bus/shop-fetch-orders"
    assert deployed.invoke(event("aws/rule") | {"resources": [arn]})["tick"] == "fetch-orders"


def test_a_rule_of_another_name_is_told_what_to_do(deployed: Deployment) -> None:
    arn = "arn:aws:events:eu-west-1:123456789012:rule/nightly"
    with pytest.raises(DeclarationError, match="no timer function and no chore 'nightly'"):
        deployed.invoke(event("aws/rule") | {"resources": [arn]})


def test_a_tick_by_hand_is_that_of_now(deployed: Deployment) -> None:
    answer = deployed.invoke({"api-exchange": {"tick": "fetch-orders"}})
    schedule = Schedule.every(minutes=5)
    assert answer["scheduled_at"] == schedule.latest_at(deployed.clock.now()).isoformat()


def test_only_timer_functions_tick(deployed: Deployment) -> None:
    with pytest.raises(DeclarationError, match="'take-orders' is no timer function"):
        deployed.invoke({"api-exchange": {"tick": "take-orders"}})


@pytest.mark.parametrize(
    "name", ["relay-outbox", "purge-expired", "sweep-erased", "count-token-uses", "sweep-tokens"]
)
def test_each_chore_is_done_by_order_or_by_the_name_of_its_rule(deployed: Deployment, name: str) -> None:
    assert deployed.invoke({"api-exchange": {"chore": name}}) == {"chore": name, "count": 0, "more": False}
    arn = f"arn:aws:events:eu-west-1:123456789012:rule/shop-{name}"
    assert deployed.invoke(event("aws/rule") | {"resources": [arn]})["chore"] == name
    assert deployed.observer.events == []


def test_an_unknown_chore_is_told_with_those_that_there_are(deployed: Deployment) -> None:
    with pytest.raises(DeclarationError, match="no chore 'tidy'; there are relay-outbox, purge-expired"):
        deployed.invoke({"api-exchange": {"chore": "tidy"}})


def test_a_message_sent_by_hand_is_in_the_queue_of_its_function(deployed: Deployment) -> None:
    order = {"send": "take-orders", "tenant": "customer-a", "payload": {"id": "o-1"}}
    answer = deployed.invoke({"api-exchange": order})
    [message] = deployed.messages("orders-in")
    assert (message.id, message.tenant_id, message.payload) == (
        answer["message_id"],
        "customer-a",
        {"id": "o-1"},
    )


def test_a_payload_that_its_function_would_refuse_is_not_sent(deployed: Deployment) -> None:
    order = {"send": "take-orders", "tenant": "customer-a", "payload": {"number": 1}}
    with pytest.raises(InvalidPayloadError, match="id"):
        deployed.invoke({"api-exchange": order})
    with pytest.raises(TenantError, match="no tenant id"):
        deployed.invoke({"api-exchange": order | {"tenant": "../customer"}})
    assert deployed.depths() == {}


@pytest.mark.parametrize(
    "order",
    [
        None,
        {},
        {"chore": 1},
        {"chore": "relay-outbox", "tick": "fetch-orders"},
        {"send": "take-orders", "tenant": "customer-a"},
        {"tick": "fetch-orders", "at": "now"},
    ],
)
def test_an_order_of_another_form_is_told_which_there_are(deployed: Deployment, order: Any) -> None:
    with pytest.raises(DeclarationError, match=r'one of \{"chore": NAME\}'):
        deployed.invoke({"api-exchange": order})


def test_a_time_that_is_none_is_told(deployed: Deployment) -> None:
    with pytest.raises(DeclarationError, match="'soon' is no time"):
        deployed.invoke({"api-exchange": {"tick": "fetch-orders", "scheduled_at": "soon"}})


@pytest.mark.parametrize(
    "document",
    [
        {},
        None,
        ["secret"],
        {"Records": [{"eventSource": "aws:s3", "s3": {"bucket": {"name": "secret"}}}]},
        {"api-exchange": {"chore": "relay-outbox"}, "other": 1},
        {"detail-type": "Order Placed", "detail": {}},
    ],
)
def test_an_event_that_nothing_takes_is_an_error_that_shows_no_content(
    deployed: Deployment, document: Any
) -> None:
    with pytest.raises(DeclarationError, match="nothing here takes an event like this") as raised:
        deployed.invoke(document)
    assert "secret" not in str(raised.value)


def test_an_outbox_that_a_process_left_behind_is_sent_by_the_relay(deployed: Deployment) -> None:
    deployed.invoke({"api-exchange": {"chore": "relay-outbox"}})
    tenant = TenantId("customer-a")
    left = Outgoing(
        queue=QueueName("orders-in"), tenant_id=tenant, message_id=MessageId("left"), body=b'"left"'
    )
    with deployed.container.units().begin(tenant) as unit:
        unit.outbox.add([left], now=deployed.clock.now())
        unit.commit()
    deployed.clock.advance(timedelta(seconds=10))
    answer = deployed.invoke({"api-exchange": {"chore": "relay-outbox"}})
    assert (answer["count"], deployed.depths()) == (1, {"orders-in": 1})
