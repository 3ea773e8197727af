"""Tokens in a table: one item a slot, and every change of it one conditional write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, cast

from botocore.exceptions import ClientError
from typing_extensions import override

from api_exchange_aws.dynamodb.expressions import (
    THERE,
    Change,
    Expression,
    current,
    held,
    of_key,
    of_tenant,
    sealed_as,
    takeable,
    unneeded,
)
from api_exchange_aws.dynamodb.token_items import (
    PARTITION,
    SORT,
    TIME_TO_LIVE,
    address,
    instant,
    instant_of_removal,
    key_of,
    number,
    row_of,
    slot_of,
    span,
    text,
)
from api_exchange_aws.errors import code_of, translated
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.sealer import SealedText
from api_exchange_core.ports.token_store import (
    NOTHING,
    NewToken,
    Takeover,
    TokenLease,
    TokenRecord,
    TokensApart,
    TokenState,
    TokenStore,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from api_exchange_aws.dynamodb.token_items import Item

SKEW: Final = timedelta(seconds=1)
"""How far the clocks of two instances may be apart. Those of Lambda follow the Amazon Time Sync Service, which keeps
them within milliseconds."""

KEPT: Final = timedelta(days=7)
"""How long after its end a token stays, until time to live takes it away; as long as the sweep leaves it."""

_LOST: Final = "ConditionalCheckFailedException"


@dataclass(frozen=True, slots=True)
class DynamoDbTokenStore(TokenStore, TokensApart):
    """The tokens of a table, whose items are as in `token_items`.

    DynamoDB tells nobody the time, so the clocks of the instances decide, and their difference is allowed for: a token
    is taken to expire earlier by the *skew*, and a lease, or a token that may be live, to end later. All reads are
    consistent. A write that is sent again because its answer was lost finds its own lease, or its own token, and has
    succeeded.

    It takes the rights ``dynamodb:Query`` and ``dynamodb:UpdateItem``; for the sweep, and to erase,
    ``dynamodb:DeleteItem`` and ``dynamodb:Scan``.

    Args:
        client: of DynamoDB.
        table: its name.
        clock: tells the time.
        skew: how far clocks may be apart.
    """

    client: DynamoDBClient
    table: str
    clock: Clock
    skew: timedelta = SKEW

    @override
    def read(self, key: TokenKey) -> Mapping[int, TokenState]:
        items = list(self._query(of_key(key)))
        now = self.clock.now()
        return {slot_of(item): row_of(item).state(now, skew=self.skew) for item in items}

    @override
    def claim(
        self,
        key: TokenKey,
        *,
        slot: int,
        seen: TokenId | None,
        owner: str,
        lease: timedelta,
        takeover: Takeover,
    ) -> TokenLease | None:
        now = self.clock.now()
        taken = Change(
            if_=takeable(seen, takeover, now, skew=self.skew),
            set_={
                "api": text(key.api),
                "scope": text(key.scope),
                "slot": number(slot),
                "lease_owner": text(owner),
                "lease_until": instant(now + lease),
                "changed_at": instant(now),
            },
            add={"fence": 1},
            remove=(TIME_TO_LIVE,),
        )
        _, item = self._update(key, slot, taken)
        return row_of(item).lease(key, slot, owner) if item.get("lease_owner") == text(owner) else None

    @override
    def store(self, lease: TokenLease, token: NewToken) -> bool:
        now = self.clock.now()
        stored = {
            "token_id": text(token.token_id),
            "sealed": text(token.sealed),
            "expires_at": instant(now + token.expires_in),
            "lifetime": span(token.lifetime),
            "live_until": instant(now + token.live_for),
            "failures": number(0),
            "changed_at": instant(now),
        }
        if token.refresh is not None:
            stored["refresh"] = text(token.refresh)
        elif lease.refresh is None:  # or what is kept is not to be had again
            stored[TIME_TO_LIVE] = instant_of_removal(now + max(token.expires_in, token.live_for) + KEPT)
        ended = ("lease_owner", "lease_until", "barred_until")
        _, item = self._update(
            lease.key, lease.slot, Change(if_=held(lease), set_=stored, add={"generation": 1}, remove=ended)
        )
        return item.get("token_id") == text(token.token_id)

    @override
    def give_back(
        self, lease: TokenLease, *, failed: bool, bar: timedelta = NOTHING, live_for: timedelta = NOTHING
    ) -> bool:
        now = self.clock.now()
        changes = {"changed_at": instant(now)}
        if bar > NOTHING:
            changes["barred_until"] = instant(now + bar)
        if live_for > NOTHING:
            changes["live_until"] = instant(now + live_for)
        ended = Change(
            if_=held(lease),
            set_=changes,
            add={"failures": 1} if failed else {},
            remove=("lease_owner", "lease_until"),
        )
        return self._update(lease.key, lease.slot, ended)[0]

    @override
    def invalidate(self, key: TokenKey, token_id: TokenId) -> bool:
        now = instant(self.clock.now())
        gone = Change(
            if_=current(token_id),
            set_={"expires_at": now, "changed_at": now},
            remove=("token_id", "sealed", "live_until"),
        )
        slots = [slot for slot, state in self.read(key).items() if state.token_id == token_id]
        return any(self._update(key, slot, gone)[0] for slot in slots)

    @override
    def count(self, uses: Mapping[tuple[TokenKey, int], int]) -> None:
        for (key, slot), times in uses.items():
            self._update(key, slot, Change(if_=THERE, add={"uses": times}))

    @override
    def sweep(self, *, unused_for: timedelta, limit: int) -> int:
        now = self.clock.now() - self.skew
        condition = unneeded(now, now - unused_for)
        return sum(self._delete(item, condition) for item in islice(self._scan(condition), limit))

    @override
    def all(self, tenant_id: TenantId | None = None) -> Sequence[TokenRecord]:
        items = list(self._scan(THERE) if tenant_id is None else self._query(of_tenant(tenant_id)))
        now = self.clock.now()
        records = [
            TokenRecord(key_of(item), slot_of(item), row_of(item).state(now, skew=self.skew))
            for item in items
        ]
        return sorted(records, key=lambda one: (one.key.tenant_id, one.key.api, one.key.scope, one.slot))

    @override
    def reset(self, key: TokenKey, *, forget_refresh: bool = False) -> int:
        freed = Change(
            if_=THERE,
            set_={"failures": number(0), "changed_at": instant(self.clock.now())},
            add={"fence": 1},
            remove=("lease_owner", "lease_until", "barred_until", *(["refresh"] if forget_refresh else [])),
        )
        return sum(self._update(key, slot, freed)[0] for slot in self.read(key))

    @override
    def replace(self, record: TokenRecord, *, sealed: SealedText | None, refresh: SealedText | None) -> bool:
        seals = {"sealed": sealed, "refresh": refresh}
        resealed = Change(
            if_=sealed_as(record.state),
            set_={name: text(seal) for name, seal in seals.items() if seal is not None},
            remove=tuple(name for name, seal in seals.items() if seal is None),
        )
        return self._update(record.key, record.slot, resealed)[0]

    @override
    def held(self, tenant_id: TenantId) -> int:
        return sum(1 for _ in self._query(of_tenant(tenant_id)))

    @override
    def erase(self, tenant_id: TenantId, *, limit: int) -> int:
        doomed = islice(self._query(of_tenant(tenant_id)), limit)
        return sum(self._delete(item, THERE) for item in doomed)

    def _query(self, condition: Expression) -> Iterator[Item]:
        with translated("dynamodb:Query", self._named):
            pages = self.client.get_paginator("query").paginate(
                TableName=self.table, ConsistentRead=True, **condition.request("KeyConditionExpression")
            )
            for page in pages:
                yield from page["Items"]

    def _scan(self, condition: Expression) -> Iterator[Item]:
        with translated("dynamodb:Scan", self._named):
            pages = self.client.get_paginator("scan").paginate(
                TableName=self.table, ConsistentRead=True, **condition.request("FilterExpression")
            )
            for page in pages:
                yield from page["Items"]

    def _update(self, key: TokenKey, slot: int, change: Change) -> tuple[bool, Item]:
        """Whether the condition holds; the item as it is now, or, where it does not hold, as it was."""
        with translated("dynamodb:UpdateItem", self._named):
            try:
                answer = self.client.update_item(
                    TableName=self.table,
                    Key=address(key, slot),
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **change.request(),
                )
            except ClientError as error:
                if code_of(error) != _LOST:
                    raise
                return False, cast("Item", error.response.get("Item", {}))
            return True, answer["Attributes"]

    def _delete(self, item: Item, condition: Expression) -> bool:
        with translated("dynamodb:DeleteItem", self._named):
            try:
                self.client.delete_item(
                    TableName=self.table,
                    Key={name: item[name] for name in (PARTITION, SORT)},
                    **condition.request("ConditionExpression"),
                )
            except ClientError as error:
                if code_of(error) != _LOST:
                    raise
                return False
            return True

    @property
    def _named(self) -> str:
        return f"table {self.table!r}"
