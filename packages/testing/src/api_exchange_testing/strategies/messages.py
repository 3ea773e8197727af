"""Messages, and ticks of timers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from api_exchange_core.application.tick import TICK_TYPE
from api_exchange_core.domain.entity import EntityKey, EntityReference, reference_to
from api_exchange_core.domain.json_value import JsonValue, json_value
from api_exchange_core.domain.message import MESSAGE_TYPE, Message
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_testing.strategies.entities import entity_references
from api_exchange_testing.strategies.json import payloads
from api_exchange_testing.strategies.names import moments, printable_texts, tenant_ids

_TENANT = TenantId("customer-a")


def messages(
    *,
    payload: SearchStrategy[JsonValue] | SearchStrategy[object] | None = None,
    tenant: SearchStrategy[TenantId] | str = _TENANT,
    entity: SearchStrategy[EntityReference | None] | None = None,
) -> SearchStrategy[Message]:
    """Messages as a processor is handed them.

    Args:
        payload: what they carry, in JSON form or in what has one (a model, a dataclass); any JSON if not given.
        tenant: on whose behalf: one, or a strategy such as `tenant_ids()`.
        entity: what they are about, made the tenant's own; nothing, or any entity, if not given.
    """
    # Made once and not for each message: strategies cost more to make than to draw from.
    parts: dict[str, SearchStrategy[Any]] = {
        "payload": payloads() if payload is None else payload,
        "tenant": st.just(TenantId(tenant)) if isinstance(tenant, str) else tenant,
        "entity": st.none() | entity_references() if entity is None else entity,
        "id": printable_texts(),
        "starts_a_request": st.booleans(),
        "source": st.sampled_from(["/shop", "/shop/fetch-orders", "urn:example:shop"]),
        "time": moments(),
        "attempt": st.integers(min_value=1, max_value=20),
        "type": st.sampled_from([MESSAGE_TYPE, "com.example.order.placed"]),
        "metadata": st.dictionaries(st.sampled_from(["channel", "lot"]), printable_texts(), max_size=2),
    }
    return _messages(parts)


def ticks(*, tenant: SearchStrategy[TenantId] | None = None) -> SearchStrategy[Message]:
    """Messages as a timer function gets them: one a tenant and scheduled time, on a full minute."""
    return st.builds(
        _tick, moments(), st.uuids(version=4).map(str), tenant_ids() if tenant is None else tenant
    )


@st.composite
def _messages(draw: DrawFn, parts: dict[str, SearchStrategy[Any]]) -> Message:
    tenant_id = draw(parts["tenant"])
    about = draw(parts["entity"])
    id_ = MessageId(draw(parts["id"]))
    starts_a_request = draw(parts["starts_a_request"])
    return Message(
        id=id_,
        tenant_id=tenant_id,
        source=draw(parts["source"]),
        payload=json_value(draw(parts["payload"])),
        time=draw(parts["time"]),
        correlation_id=id_ if starts_a_request else draw(parts["id"]),
        causation_id=None if starts_a_request else draw(parts["id"]),
        entity=None if about is None else _of_tenant(about, tenant_id),
        attempt=draw(parts["attempt"]),
        type=draw(parts["type"]),
        metadata=draw(parts["metadata"]),
    )


def _tick(at: datetime, id_: str, tenant: TenantId) -> Message:
    scheduled_at = at.replace(second=0, microsecond=0)
    return Message(
        id=MessageId(id_),
        tenant_id=tenant,
        source="/shop/fetch-orders",
        type=TICK_TYPE,
        payload={"scheduled_at": scheduled_at.isoformat()},
        time=scheduled_at,
        correlation_id=id_,
    )


def _of_tenant(reference: EntityReference, tenant_id: TenantId) -> EntityReference:
    key = EntityKey(tenant_id, reference.canonical_type, reference.source, reference.external_id)
    return reference_to(key, key.id, reference.version)
