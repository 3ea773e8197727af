"""Messages, and ticks of timers."""

from __future__ import annotations

from datetime import datetime

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
    return _messages(
        payloads() if payload is None else payload,
        st.just(TenantId(tenant)) if isinstance(tenant, str) else tenant,
        entity,
    )


def ticks(*, tenant: SearchStrategy[TenantId] | None = None) -> SearchStrategy[Message]:
    """Messages as a timer function gets them: one a tenant and scheduled time, on a full minute."""
    return _ticks(tenant_ids() if tenant is None else tenant)


@st.composite
def _messages(
    draw: DrawFn,
    payload: SearchStrategy[JsonValue] | SearchStrategy[object],
    tenant: SearchStrategy[TenantId],
    entity: SearchStrategy[EntityReference | None] | None,
) -> Message:
    tenant_id = draw(tenant)
    about = draw(st.none() | entity_references() if entity is None else entity)
    id_ = MessageId(draw(printable_texts()))
    starts_a_request = draw(st.booleans())
    return Message(
        id=id_,
        tenant_id=tenant_id,
        source=draw(st.sampled_from(["/shop", "/shop/fetch-orders", "urn:example:shop"])),
        payload=json_value(draw(payload)),
        time=draw(moments()),
        correlation_id=id_ if starts_a_request else draw(printable_texts()),
        causation_id=None if starts_a_request else draw(printable_texts()),
        entity=None if about is None else _of_tenant(about, tenant_id),
        attempt=draw(st.integers(min_value=1, max_value=20)),
        type=draw(st.sampled_from([MESSAGE_TYPE, "com.example.order.placed"])),
        metadata=draw(st.dictionaries(st.sampled_from(["channel", "lot"]), printable_texts(), max_size=2)),
    )


@st.composite
def _ticks(draw: DrawFn, tenant: SearchStrategy[TenantId]) -> Message:
    scheduled_at = _on_the_minute(draw(moments()))
    id_ = MessageId(str(draw(st.uuids(version=4))))
    return Message(
        id=id_,
        tenant_id=draw(tenant),
        source="/shop/fetch-orders",
        type=TICK_TYPE,
        payload={"scheduled_at": scheduled_at.isoformat()},
        time=scheduled_at,
        correlation_id=id_,
    )


def _of_tenant(reference: EntityReference, tenant_id: TenantId) -> EntityReference:
    key = EntityKey(tenant_id, reference.canonical_type, reference.source, reference.external_id)
    return reference_to(key, key.id, reference.version)


def _on_the_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
