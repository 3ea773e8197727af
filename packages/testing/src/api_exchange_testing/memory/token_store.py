"""Tokens in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial

from typing_extensions import override

from api_exchange_core.adapters.tokens.row import TokenRow
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
            if row is None:  # so there is no token to have seen
                row, seen = TokenRow(changed_at=now), None
            claimed = row.claimed(now, seen=seen, owner=owner, lease=lease, takeover=takeover)
            if claimed is None:
                return None
            self._rows[key, slot] = claimed
            return claimed.lease(key, slot, owner)

    @override
    def store(self, lease: TokenLease, token: NewToken) -> bool:
        return self._change((lease.key, lease.slot), lambda row: row.stored(lease, token, self._clock.now()))

    @override
    def give_back(
        self, lease: TokenLease, *, failed: bool, bar: timedelta = NOTHING, live_for: timedelta = NOTHING
    ) -> bool:
        return self._change(
            (lease.key, lease.slot),
            lambda row: row.given_back(lease, self._clock.now(), failed=failed, bar=bar, live_for=live_for),
        )

    @override
    def invalidate(self, key: TokenKey, token_id: TokenId) -> bool:
        return any(
            self._change((key, slot), lambda row: row.invalidated(token_id, self._clock.now()))
            for slot in self.read(key)
        )

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
                self._rows[address] = self._rows[address].reset(now, forget_refresh=forget_refresh)
            return len(found)

    @override
    def replace(self, record: TokenRecord, *, sealed: SealedText | None, refresh: SealedText | None) -> bool:
        return self._change(
            (record.key, record.slot),
            lambda row: row.resealed(record.state, sealed=sealed, refresh=refresh),
        )

    @override
    def count(self, uses: Mapping[tuple[TokenKey, int], int]) -> None:
        for address, times in uses.items():
            self._change(address, partial(TokenRow.used, times=times))

    @override
    def sweep(self, *, unused_for: timedelta, limit: int) -> int:
        with self._lock:
            now = self._clock.now()
            doomed = [
                address
                for address, row in self._rows.items()
                if row.is_unneeded(now, before=now - unused_for)
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

    def _change(self, address: tuple[TokenKey, int], change: Callable[[TokenRow], TokenRow | None]) -> bool:
        with self._lock:
            row = self._rows.get(address)
            changed = None if row is None else change(row)
            if changed is None:
                return False
            self._rows[address] = changed
            return True
