"""How a token is an item.

The partition is the tenant; the sort key, ``slot_key``, is a digest of API and scope with the slot behind it, since
both may be longer than a sort key can be. Times are microseconds since 1970, save for ``remove_at``, which DynamoDB's
time to live reads and which has to be seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from api_exchange_core.adapters.tokens.row import TokenRow
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.sealer import SealedText

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = Mapping[str, AttributeValueTypeDef]

PARTITION: Final = "tenant_id"
SORT: Final = "slot_key"
TIME_TO_LIVE: Final = "remove_at"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)


def text(value: str) -> AttributeValueTypeDef:
    """A string, as DynamoDB has it."""
    return {"S": value}


def number(value: int) -> AttributeValueTypeDef:
    """A number."""
    return {"N": str(value)}


def span(value: timedelta) -> AttributeValueTypeDef:
    """A span of time."""
    return number(value // _MICROSECOND)


def instant(value: datetime) -> AttributeValueTypeDef:
    """A point in time."""
    return span(value - _EPOCH)


def instant_of_removal(value: datetime) -> AttributeValueTypeDef:
    """A point in time, as time to live has it."""
    return number((value - _EPOCH) // _SECOND)


def address(key: TokenKey, slot: int) -> Item:
    """The key of an item."""
    return {PARTITION: text(key.tenant_id), SORT: text(f"{slots_of(key)}{slot}")}


def slots_of(key: TokenKey) -> str:
    """What the sort keys of its items begin with."""
    return f"{key.digest}#"


def slot_of(item: Item) -> int:
    """Its slot."""
    return _number(item, "slot")


def key_of(item: Item) -> TokenKey:
    """What its token is for."""
    return TokenKey(TenantId(item[PARTITION]["S"]), item["api"]["S"], item["scope"]["S"])


def row_of(item: Item) -> TokenRow:
    """What it keeps."""
    return TokenRow(
        changed_at=_EPOCH + _span(item, "changed_at"),
        fence=_number(item, "fence"),
        generation=_number(item, "generation"),
        token_id=TokenId(item["token_id"]["S"]) if "token_id" in item else None,
        sealed=_sealed(item, "sealed"),
        refresh=_sealed(item, "refresh"),
        expires_at=_time(item, "expires_at"),
        lifetime=_span(item, "lifetime"),
        live_until=_time(item, "live_until"),
        lease_owner=item["lease_owner"]["S"] if "lease_owner" in item else None,
        lease_until=_time(item, "lease_until"),
        failures=_number(item, "failures"),
        barred_until=_time(item, "barred_until"),
        uses=_number(item, "uses"),
    )


def _number(item: Item, name: str) -> int:
    return int(item[name]["N"]) if name in item else 0


def _span(item: Item, name: str) -> timedelta:
    return _number(item, name) * _MICROSECOND


def _time(item: Item, name: str) -> datetime | None:
    return _EPOCH + _span(item, name) if name in item else None


def _sealed(item: Item, name: str) -> SealedText | None:
    return SealedText(item[name]["S"]) if name in item else None
