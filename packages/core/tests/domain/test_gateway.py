from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.errors import DeclarationError, UnroutableError
from api_exchange_core.domain.gateway import GatewayProcessor
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_core.domain.operation import operation_of
from api_exchange_core.domain.output import QueueOutputHandler
from api_exchange_core.domain.rules import FAIL, Routing, Rule, field

EXPRESS = Rule(field("order_type") == "express", to="express-orders")
COSTLY = Rule(field("total") > 1000, to=["fraud-check", "express-orders"])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def message(payload: JsonValue) -> Message:
    return Message(
        id=MessageId("m-1"),
        tenant_id=TenantId("customer-a"),
        source="/orders/to-canonical",
        payload=payload,
        time=datetime(2026, 3, 10, 12, tzinfo=UTC),
        correlation_id="c-1",
    )


def sent_to(gateway: GatewayProcessor, payload: JsonValue) -> list[str]:
    no_context: Any = None  # a gateway decides by the message alone
    result = gateway.process(message(payload), no_context)
    assert result.success
    assert result.output_messages == []  # so that the message itself is what is forwarded
    assert all(isinstance(handler, QueueOutputHandler) for handler in result.output_handlers)
    return [handler.queue for handler in result.output_handlers if isinstance(handler, QueueOutputHandler)]


def test_a_gateway_names_one_output_for_each_destination() -> None:
    gateway = GatewayProcessor(Routing([EXPRESS, COSTLY], default="unknown-orders", mode="all"))
    assert sent_to(gateway, {"order_type": "express"}) == ["express-orders"]
    assert sent_to(gateway, {"order_type": "express", "total": 5000}) == ["express-orders", "fraud-check"]
    assert sent_to(gateway, {"order_type": "slow"}) == ["unknown-orders"]


@given(JSON, st.sampled_from(["first", "all"]))
def test_a_gateway_with_a_default_queue_sends_every_message_somewhere(payload: JsonValue, mode: Any) -> None:
    assert sent_to(GatewayProcessor(Routing([EXPRESS, COSTLY], default="unknown-orders", mode=mode)), payload)


@given(JSON)
def test_a_gateway_without_one_refuses_what_no_rule_takes(payload: JsonValue) -> None:
    # an UnroutableError is permanent: the message is dead-lettered, neither lost nor retried
    with pytest.raises(UnroutableError):
        sent_to(GatewayProcessor(Routing([EXPRESS], default=FAIL)), payload)


def test_a_gateway_knows_the_queues_that_it_sends_to() -> None:
    gateway = GatewayProcessor(Routing([COSTLY, EXPRESS], default="unknown-orders"))
    assert gateway.sends_to == ("fraud-check", "express-orders", "unknown-orders")


def test_a_gateway_is_made_from_rules_written_as_data() -> None:
    rule = {"when": {"field": "order_type", "op": "==", "value": "express"}, "to": "express-orders"}
    gateway = GatewayProcessor(Routing.parse({"rules": [rule], "default": "unknown-orders"}))
    assert sent_to(gateway, {"order_type": "express"}) == ["express-orders"]


def test_a_gateway_runs_under_its_operations_name() -> None:
    assert operation_of(GatewayProcessor.process) == "route.by_rules"


def test_a_gateway_without_a_routing_is_refused_at_declaration() -> None:
    rules: Any = [EXPRESS]
    with pytest.raises(DeclarationError, match=r"made from a Routing\(rules, default=\.\.\.\)"):
        GatewayProcessor(rules)
