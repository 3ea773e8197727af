"""How a token is an entity.

The partition is the tenant; the row key is a digest of API and scope with the slot behind it, since a key is 1 KiB at
most and not every character may be in one. Times are those of the service, so that they can be read wherever tables are
looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from azure.data.tables import EdmType, EntityProperty, TableEntity

from api_exchange_core.adapters.tokens.row import TokenRow
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.names import TenantId, tenant_id
from api_exchange_core.ports.sealer import SealedText
from api_exchange_core.ports.token_store import TokenRecord

Entity = Mapping[str, Any]
"""Properties by their names, as the client library has them."""

PARTITION: Final = "PartitionKey"
ROW: Final = "RowKey"
CHANGED_AT: Final = "changed_at"

LONGEST_TEXT: Final = 32 * 1024
"""Characters of the longest string that a property holds: 64 KiB of UTF-16 ("Understanding the Table service data
model", Azure Storage REST reference)."""

_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class KeptToken:
    """A slot as it was read.

    Args:
        key: what its token is for.
        slot: which of its slots.
        row: what it keeps.
        written_by: the name of the write that left it so.
        etag: what the service calls this state of it.
    """

    key: TokenKey
    slot: int
    row: TokenRow
    written_by: str
    etag: str

    def record(self, now: datetime, *, skew: timedelta) -> TokenRecord:
        """The slot, as operators see it."""
        return TokenRecord(self.key, self.slot, self.row.state(now, skew=skew))


def address(key: TokenKey, slot: int) -> tuple[str, str]:
    """Partition and row key of an entity."""
    return tenant_id(key.tenant_id), f"{key.digest}-{slot}"


def rows_of(key: TokenKey) -> tuple[str, str]:
    """Between what its row keys are: the first included, the second not."""
    return f"{key.digest}-", f"{key.digest}."  # a dot follows a hyphen


def entity_of(key: TokenKey, slot: int, row: TokenRow, *, written_by: str) -> dict[str, Any]:
    """The whole entity. What there is not is no property."""
    partition, name = address(key, slot)
    values = {
        PARTITION: partition,
        ROW: name,
        "api": key.api,
        "scope": key.scope,
        "slot": slot,
        CHANGED_AT: row.changed_at,
        "fence": _number(row.fence),
        "generation": _number(row.generation),
        "token_id": row.token_id,
        **_pieces("sealed", row.sealed),
        **_pieces("refresh", row.refresh),
        "expires_at": row.expires_at,
        "lifetime": _number(row.lifetime // _MICROSECOND),
        "live_until": row.live_until,
        "lease_owner": row.lease_owner,
        "lease_until": row.lease_until,
        "failures": row.failures,
        "barred_until": row.barred_until,
        "uses": _number(row.uses),
        "written_by": written_by,
    }
    return {name: value for name, value in values.items() if value is not None}


def token_in(entity: TableEntity) -> KeptToken:
    """What *entity* keeps."""
    row = TokenRow(
        changed_at=entity[CHANGED_AT],
        fence=_int(entity, "fence"),
        generation=_int(entity, "generation"),
        token_id=TokenId(entity["token_id"]) if "token_id" in entity else None,
        sealed=_whole(entity, "sealed"),
        refresh=_whole(entity, "refresh"),
        expires_at=entity.get("expires_at"),
        lifetime=_int(entity, "lifetime") * _MICROSECOND,
        live_until=entity.get("live_until"),
        lease_owner=entity.get("lease_owner"),
        lease_until=entity.get("lease_until"),
        failures=entity["failures"],
        barred_until=entity.get("barred_until"),
        uses=_int(entity, "uses"),
    )
    key = TokenKey(TenantId(entity[PARTITION]), entity["api"], entity["scope"])
    return KeptToken(key, entity["slot"], row, entity["written_by"], str(entity.metadata["etag"]))


def _number(value: int) -> EntityProperty:
    """A number of 64 bits; of its own accord the library takes 32."""
    return EntityProperty(value, EdmType.INT64)


def _int(entity: Entity, name: str) -> int:
    value: int = entity[name].value
    return value


def _pieces(name: str, text: str | None) -> dict[str, str]:
    """Properties that hold *text*: ``name``, ``name_1``, ``name_2`` ..."""
    if text is None:
        return {}
    starts = range(0, max(len(text), 1), LONGEST_TEXT)
    return {_piece(name, at): text[start : start + LONGEST_TEXT] for at, start in enumerate(starts)}


def _whole(entity: Entity, name: str) -> SealedText | None:
    if name not in entity:
        return None
    pieces, at = "", 0
    while (piece := _piece(name, at)) in entity:
        pieces, at = pieces + entity[piece], at + 1
    return SealedText(pieces)


def _piece(name: str, at: int) -> str:
    return name if at == 0 else f"{name}_{at}"
