"""Which entities a command line names."""

from __future__ import annotations

from api_exchange_core.domain.erasure import Subject
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.names import EntityId, TenantId
from api_exchange_core.ports.erasure import Eraser


def subjects_named(
    eraser: Eraser,
    tenant_id: TenantId,
    *,
    entity_id: str | None,
    external_id: str | None,
    canonical_type: str | None,
    source: str | None,
) -> list[Subject]:
    """The entities to erase: the one with the id, or those with the external id.

    Raises:
        DeclarationError: both or neither are given, or the external id names none.
    """
    if (entity_id is None) == (external_id is None):
        raise DeclarationError("name the entity by its id or with --external-id, one of the two")
    if entity_id is not None:
        return [Subject(tenant_id, EntityId(entity_id))]
    found = [
        Subject(tenant_id, key.id)
        for key in eraser.named(tenant_id, external_id=str(external_id))
        if canonical_type in (None, key.canonical_type) and source in (None, key.source)
    ]
    if not found:
        raise DeclarationError(f"tenant {tenant_id!r} has no entity that is called so")
    return found
