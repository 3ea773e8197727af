"""Erasing what is held of a tenant or of an entity, and the record that it was done."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from api_exchange_core.domain.names import EntityId, TenantId


@dataclass(frozen=True, slots=True)
class Subject:
    """What is erased: all that is held of a tenant or, with an entity's id, of that entity of the tenant."""

    tenant_id: TenantId
    entity_id: EntityId | None = None

    def proof(self, receipt: str) -> str | None:
        """What the record keeps of an entity: HMAC-SHA-256 of its id with *receipt* as the key, in hexadecimal.

        An entity's id follows from its external id, which is often a number that can be guessed; without the
        receipt, which is not stored, the record tells nobody which entity it was. Of a tenant the id itself stays.
        """
        if self.entity_id is None:
            return None
        return hmac.new(receipt.encode(), self.entity_id.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The record of an erasure. It outlives what was erased, and holds nothing of it.

    Args:
        id: of the record.
        tenant_id: whose data it was.
        entity_proof: for an entity, `Subject.proof`; None if all of the tenant was erased.
        requested_by: who asked for it.
        started_at: aware UTC.
        finished_at: None while it has not come to its end.
        removed: how many rows of each table, and how many ``files``.
    """

    id: str
    tenant_id: TenantId
    entity_proof: str | None
    requested_by: str
    started_at: datetime
    finished_at: datetime | None = None
    removed: Mapping[str, int] = field(default_factory=dict, hash=False)
