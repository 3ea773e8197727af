"""Ids that follow from what they identify, so that doing the same thing twice gives the same id.

An entity's id follows from its key, a tick's message id from function, tenant and time, a child's from its
parent. Nothing has to be looked up or remembered, and a step that runs again cannot invent a second identity.
"""

from __future__ import annotations

from uuid import UUID, uuid5

from api_exchange_core.domain.names import EntityId, MessageId

_ENTITY = UUID("3f1f6f0e-5b0a-5c3c-9d0e-0d5a4a9f6b01")
_MESSAGE = UUID("8c7c7a52-7a0c-5f0b-8a3d-5a2f3f0d9e02")


def entity_id(*, tenant_id: str, canonical_type: str, source: str, external_id: str) -> EntityId:
    """The id of the entity that these four name (a version 5 UUID, RFC 9562 section 5.5)."""
    return EntityId(_derived(_ENTITY, tenant_id, canonical_type, source, external_id))


def derived_message_id(*parts: str) -> MessageId:
    """The id of the message that *parts* cause (a version 5 UUID, RFC 9562 section 5.5)."""
    return MessageId(_derived(_MESSAGE, *parts))


def _derived(namespace: UUID, *parts: str) -> str:
    # The lengths keep ("ab", "c") and ("a", "bc") apart.
    return str(uuid5(namespace, "".join(f"{len(part)}:{part}" for part in parts)))
