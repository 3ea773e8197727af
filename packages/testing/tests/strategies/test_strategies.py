from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, StringConstraints

from api_exchange_core import EntityReference, Exchange, Message, RetryPolicy, Schedule
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.entity import EntityKey
from api_exchange_core.domain.envelope import decode, encode
from api_exchange_core.domain.errors import UnrepresentableError
from api_exchange_core.domain.json_value import JsonValue, json_value
from api_exchange_core.domain.names import function_name, queue_name, tenant_id
from api_exchange_testing.strategies import (
    batches,
    deliveries,
    entity_keys,
    entity_references,
    function_names,
    messages,
    moments,
    payloads,
    payloads_of,
    queue_names,
    refused_payloads,
    retry_policies,
    schedules,
    tenant_ids,
    ticks,
)

GENERATE = settings(phases=[Phase.generate], max_examples=5_000, database=None)
"""To find an example that is there; the smallest one is of no interest."""


class Line(BaseModel):
    """A part of a model."""

    article: Annotated[str, StringConstraints(pattern="^[A-Z]{2}-[0-9]{3}$")]
    price: Annotated[Decimal, Field(gt=0, lt=100, decimal_places=2)]


class Order(BaseModel):
    """A model with the constraints that people write."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=20)]
    kind: Literal["express", "standard"] | None
    items: int = Field(ge=1, le=9)
    placed_at: datetime
    lines: list[Line]


@given(tenant_ids(), queue_names(), function_names(), moments())
def test_names_and_moments_are_what_the_framework_takes(
    tenant: str, queue: str, function: str, at: datetime
) -> None:
    assert tenant_id(tenant) == tenant
    assert queue_name(queue) == queue
    assert Exchange(function_name(function), tenants=[tenant]).tenants == (tenant,)
    assert at.tzinfo is UTC


@given(payloads())
def test_payloads_are_plain_json_already(payload: JsonValue) -> None:
    assert json_value(payload) == payload


@given(refused_payloads())
def test_what_has_no_json_form_is_refused(payload: object) -> None:
    with pytest.raises(UnrepresentableError):
        json_value(payload)


@pytest.mark.parametrize(
    "is_nasty",
    [
        lambda payload: isinstance(payload, int) and abs(payload) > 2**53,
        lambda payload: isinstance(payload, float) and str(payload) == "-0.0",
        lambda payload: isinstance(payload, str) and "\U0001f600" in payload,
        lambda payload: isinstance(payload, dict) and "a" in payload and "\uff41" in payload,
        lambda payload: _depth(payload) > 80,
    ],
)
def test_the_nasty_cases_are_among_the_payloads(is_nasty: object) -> None:
    find(payloads(), is_nasty, settings=GENERATE)  # type: ignore[arg-type] # a predicate of any JSON


@given(messages(tenant=tenant_ids()))
def test_messages_survive_the_wire(message: Message) -> None:
    assert decode(encode(message)) == message


@given(messages(payload=st.just({"order": 1}), tenant="acme", entity=st.none()))
def test_messages_are_of_what_was_asked_for(message: Message) -> None:
    assert message.payload == {"order": 1}
    assert message.tenant_id == "acme"
    assert message.entity is None


@given(st.data())
def test_what_is_about_an_entity_is_of_its_tenant(data: st.DataObject) -> None:
    message = data.draw(messages(tenant=tenant_ids()))
    assert message.entity is None or message.entity.tenant_id == message.tenant_id


@given(ticks())
def test_ticks_are_scheduled_on_the_minute(tick: Message) -> None:
    assert tick.time.second == tick.time.microsecond == 0
    assert tick.payload == {"scheduled_at": tick.time.isoformat()}


@given(entity_keys(), entity_references())
def test_references_name_the_id_that_follows_from_the_key(key: EntityKey, reference: EntityReference) -> None:
    assert reference.id != key.id or reference.external_id == key.external_id


@given(deliveries(queue="orders"))
def test_deliveries_hold_messages(delivery: Delivery) -> None:
    assert delivery.queue == "orders"
    decode(delivery.body)


@given(batches())
def test_no_two_deliveries_of_a_batch_share_a_receipt(batch: list[Delivery]) -> None:
    assert len({delivery.receipt for delivery in batch}) == len(batch) <= 6


def test_batches_hold_the_same_message_twice() -> None:
    def holds_one_twice(batch: list[Delivery]) -> bool:
        return len({delivery.body for delivery in batch}) < len(batch)

    find(batches(), holds_one_twice, settings=GENERATE)


@given(retry_policies(), st.integers(1, 30))
def test_retry_policies_wait_no_longer_than_they_say(policy: RetryPolicy, attempt: int) -> None:
    assert timedelta(0) <= policy.delay(attempt, random=lambda: 1.0) <= policy.max_delay


@given(schedules(), moments())
def test_schedules_fire_within_a_year(schedule: Schedule, at: datetime) -> None:
    assert at < schedule.next_after(at) <= at + timedelta(days=366)


@given(payloads_of(Order))
def test_payloads_of_a_model_fit_it(payload: JsonValue) -> None:
    order = Order.model_validate(payload)
    assert 1 <= order.items <= 9
    assert all(Decimal(0) < line.price < 100 for line in order.lines)


@given(payloads_of(Order, id=st.just("o-1")))
def test_a_field_is_drawn_from_the_strategy_that_is_named_for_it(payload: JsonValue) -> None:
    assert Order.model_validate(payload).id == "o-1"


def _depth(payload: object) -> int:
    depth = 0
    while isinstance(payload, dict | list) and payload:
        payload = next(iter(payload.values())) if isinstance(payload, dict) else payload[0]
        depth += 1
    return depth
