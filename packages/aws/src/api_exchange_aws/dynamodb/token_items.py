"""How a token is an item.

The partition is the tenant; the sort key, ``slot_key``, is a digest of API and scope with the slot behind it, since
both may be longer than a sort key can be. Times are microseconds since 1970, save for ``remove_at``, which DynamoDB's
time to live reads and which has to be seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.sealer import SealedText
from api_exchange_core.ports.token_store import NOTHING, TokenLease, TokenState

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
    api, scope = key.api.encode(), key.scope.encode()
    return sha256(len(api).to_bytes(4, "big") + api + scope).hexdigest() + "#"


def slot_of(item: Item) -> int:
    """Its slot."""
    return _number(item, "slot")


def key_of(item: Item) -> TokenKey:
    """What its token is for."""
    return TokenKey(TenantId(item[PARTITION]["S"]), item["api"]["S"], item["scope"]["S"])


def lease_of(item: Item, owner: str) -> TokenLease:
    """The lease that *owner* has."""
    return TokenLease(
        key_of(item),
        slot_of(item),
        owner,
        fence=_number(item, "fence"),
        refresh=_sealed(item, "refresh"),
        failures=_number(item, "failures"),
    )


def state_of(item: Item, now: datetime, *, skew: timedelta) -> TokenState:
    """What it says.

    Args:
        item: of the table.
        now: what time it is here.
        skew: how far off that may be: what lets others act lasts longer by it, and what is handed out less long.
    """
    token_id = item.get("token_id")
    return TokenState(
        generation=_number(item, "generation"),
        token_id=None if token_id is None else TokenId(token_id["S"]),
        sealed=_sealed(item, "sealed"),
        refresh=_sealed(item, "refresh"),
        expires_in=_left(item, "expires_at", now + skew),
        lifetime=_number(item, "lifetime") * _MICROSECOND,
        live_for=max(_left(item, "live_until", now - skew), NOTHING),
        leased_for=_left(item, "lease_until", now - skew) if "lease_owner" in item else None,
        failures=_number(item, "failures"),
        barred_for=max(_left(item, "barred_until", now), NOTHING),
        uses=_number(item, "uses"),
    )


def _number(item: Item, name: str) -> int:
    return int(item[name]["N"]) if name in item else 0


def _left(item: Item, name: str, now: datetime) -> timedelta:
    return _EPOCH + _number(item, name) * _MICROSECOND - now if name in item else NOTHING


def _sealed(item: Item, name: str) -> SealedText | None:
    return SealedText(item[name]["S"]) if name in item else None
