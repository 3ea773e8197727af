"""Tokens in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from typing_extensions import override

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
    TokenRecords,
    TokenState,
    TokenStore,
)

_PAST: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """One slot, as it is kept."""

    changed_at: datetime
    fence: int = 0
    generation: int = 0
    token_id: TokenId | None = None
    sealed: SealedText | None = None
    refresh: SealedText | None = None
    expires_at: datetime = _PAST
    lifetime: timedelta = NOTHING
    live_until: datetime = _PAST
    lease_owner: str | None = None
    lease_until: datetime = _PAST
    failures: int = 0
    barred_until: datetime = _PAST
    uses: int = 0

    def is_free(self, now: datetime, takeover: Takeover) -> bool:
        """Whether the next token may be made."""
        if self.barred_until > now or (not takeover.beside_live and self.live_until > now):
            return False
        if self.lease_owner is None:
            return True
        return takeover.after is not None and self.lease_until <= now - takeover.after

    def state(self, now: datetime) -> TokenState:
        """What is told of it."""
        return TokenState(
            generation=self.generation,
            token_id=self.token_id,
            sealed=self.sealed,
            refresh=self.refresh,
            expires_in=NOTHING if self.expires_at == _PAST else self.expires_at - now,
            lifetime=self.lifetime,
            live_for=max(self.live_until, now) - now,
            leased_for=None if self.lease_owner is None else self.lease_until - now,
            failures=self.failures,
            barred_for=max(self.barred_until, now) - now,
            uses=self.uses,
        )


class InMemoryTokenStore(TokenStore, TokenRecords):
    """The tokens of all who share this object.

    Args:
        clock: the store's, which is nobody else's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[tuple[TokenKey, int], TokenRow] = {}
        self._lock = threading.Lock()

    @override
    def read(self, key: TokenKey) -> Mapping[int, TokenState]:
        with self._lock:
            now = self._clock.now()
            return {slot: row.state(now) for (of, slot), row in self._rows.items() if of == key}

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
        with self._lock:
            now = self._clock.now()
            row = self._rows.get((key, slot))
            if row is None:
                row = TokenRow(changed_at=now)
            elif row.token_id != seen or not row.is_free(now, takeover):
                return None
            fence = row.fence + 1
            self._rows[key, slot] = replace(
                row, fence=fence, lease_owner=owner, lease_until=now + lease, changed_at=now
            )
            return TokenLease(key, slot, owner, fence, row.refresh, row.failures)

    @override
    def store(self, lease: TokenLease, token: NewToken) -> bool:
        def stored(row: TokenRow, now: datetime) -> TokenRow:
            return replace(
                row,
                generation=row.generation + 1,
                token_id=token.token_id,
                sealed=token.sealed,
                refresh=row.refresh if token.refresh is None else token.refresh,
                expires_at=now + token.expires_in,
                lifetime=token.lifetime,
                live_until=now + token.live_for,
                failures=0,
                barred_until=_PAST,
            )

        return self._end(lease, stored)

    @override
    def give_back(
        self, lease: TokenLease, *, failed: bool, bar: timedelta = NOTHING, live_for: timedelta = NOTHING
    ) -> bool:
        def given_back(row: TokenRow, now: datetime) -> TokenRow:
            return replace(
                row,
                failures=row.failures + failed,
                barred_until=now + bar if bar > NOTHING else row.barred_until,
                live_until=now + live_for if live_for > NOTHING else row.live_until,
            )

        return self._end(lease, given_back)

    @override
    def invalidate(self, key: TokenKey, token_id: TokenId) -> bool:
        with self._lock:
            now = self._clock.now()
            for address, row in self._rows.items():
                if address[0] == key and row.token_id == token_id:
                    self._rows[address] = replace(
                        row, token_id=None, sealed=None, expires_at=now, live_until=now, changed_at=now
                    )
                    return True
            return False

    @override
    def all(self, tenant_id: TenantId | None = None) -> Sequence[TokenRecord]:
        with self._lock:
            now = self._clock.now()
            found = [
                TokenRecord(key, slot, row.state(now))
                for (key, slot), row in self._rows.items()
                if tenant_id in (None, key.tenant_id)
            ]
        return sorted(found, key=lambda one: (one.key.tenant_id, one.key.api, one.key.scope, one.slot))

    @override
    def reset(self, key: TokenKey, *, forget_refresh: bool = False) -> int:
        with self._lock:
            now = self._clock.now()
            found = [address for address in self._rows if address[0] == key]
            for address in found:
                row = self._rows[address]
                self._rows[address] = replace(
                    row,
                    fence=row.fence + 1,
                    lease_owner=None,
                    lease_until=_PAST,
                    failures=0,
                    barred_until=_PAST,
                    refresh=None if forget_refresh else row.refresh,
                    changed_at=now,
                )
            return len(found)

    @override
    def replace(self, record: TokenRecord, *, sealed: SealedText | None, refresh: SealedText | None) -> bool:
        with self._lock:
            row = self._rows.get((record.key, record.slot))
            was = record.state
            if row is None or (row.sealed, row.refresh) != (was.sealed, was.refresh):
                return False
            self._rows[record.key, record.slot] = replace(row, sealed=sealed, refresh=refresh)
            return True

    @override
    def count(self, uses: Mapping[tuple[TokenKey, int], int]) -> None:
        with self._lock:
            for address, number in uses.items():
                row = self._rows.get(address)
                if row is not None:
                    self._rows[address] = replace(row, uses=row.uses + number)

    @override
    def sweep(self, *, unused_for: timedelta, limit: int) -> int:
        with self._lock:
            now = self._clock.now()
            doomed = [
                address for address, row in self._rows.items() if _is_swept(row, now, now - unused_for)
            ][:limit]
            for address in doomed:
                del self._rows[address]
            return len(doomed)

    def drops(self, tenant_id: TenantId) -> list[Callable[[], object]]:
        """For each row of a tenant, what removes it."""
        with self._lock:
            return [
                partial(self._rows.pop, address, None)
                for address in self._rows
                if address[0].tenant_id == tenant_id
            ]

    def _end(self, lease: TokenLease, change: Callable[[TokenRow, datetime], TokenRow]) -> bool:
        with self._lock:
            row = self._rows.get((lease.key, lease.slot))
            if row is None or (row.fence, row.lease_owner) != (lease.fence, lease.owner):
                return False
            now = self._clock.now()
            self._rows[lease.key, lease.slot] = replace(
                change(row, now), lease_owner=None, lease_until=_PAST, changed_at=now
            )
            return True


def _is_swept(row: TokenRow, now: datetime, before: datetime) -> bool:
    return (
        max(row.changed_at, row.expires_at) <= before
        and max(row.live_until, row.barred_until) <= now
        and row.lease_owner is None
        and row.refresh is None
    )
