"""Tokens in a table: one entity a slot, and every change of it one conditional write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Final

from typing_extensions import override

from api_exchange_azure.tables.token_table import TokenTable
from api_exchange_core.adapters.tokens.row import TokenRow
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.retry import RetryPolicy
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.sealer import SealedText
from api_exchange_core.ports.sleeper import Sleeper
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

SKEW: Final = timedelta(seconds=1)
"""How far the clocks of two instances may be apart. Azure's hosts keep theirs within milliseconds ("Time sync for
virtual machines in Azure", Microsoft Learn)."""

_RACES: Final = RetryPolicy(
    max_attempts=10, base_delay=timedelta(milliseconds=10), max_delay=timedelta(milliseconds=500)
)
"""How often a change is begun anew that others were quicker than: two seconds and a half at most."""


@dataclass(frozen=True, slots=True)
class TableTokenStore(TokenStore, TokensApart):
    """The tokens of a table, whose entities are as in `token_entities`.

    Table Storage has no expressions, so a slot is read, and what comes in its place is written on condition that it
    still has the ETag that it was read with. It tells nobody the time, so the clocks of the instances decide, and
    their difference is allowed for: a token is taken to expire earlier by the *skew*, and a lease, or a token that may
    be live, to end later. Reads are consistent. Each write leaves its name: one that is sent again because its answer
    was lost, and is refused since the ETag is another, finds its own name, and has succeeded.

    It takes the role "Storage Table Data Contributor" on the table.

    Args:
        table: of tokens.
        clock: tells the time.
        sleeper: lets time pass after a lost race.
        randomness: names writes, and spreads those that race.
        skew: how far clocks may be apart.
    """

    table: TokenTable
    clock: Clock
    sleeper: Sleeper
    randomness: Randomness
    skew: timedelta = SKEW

    @override
    def read(self, key: TokenKey) -> Mapping[int, TokenState]:
        found = list(self.table.of_key(key))
        now = self.clock.now()
        return {one.slot: one.row.state(now, skew=self.skew) for one in found}

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
        def claimed(row: TokenRow | None) -> TokenRow | None:
            now = self.clock.now()
            there = TokenRow(changed_at=now) if row is None else row
            known = None if row is None else seen  # where there is no entity, there is no token to have seen
            return there.claimed(now, seen=known, owner=owner, lease=lease, takeover=takeover, skew=self.skew)

        row = self._put(key, slot, claimed)
        return None if row is None else row.lease(key, slot, owner)

    @override
    def store(self, lease: TokenLease, token: NewToken) -> bool:
        return self._change(lease.key, lease.slot, lambda row: row.stored(lease, token, self.clock.now()))

    @override
    def give_back(
        self, lease: TokenLease, *, failed: bool, bar: timedelta = NOTHING, live_for: timedelta = NOTHING
    ) -> bool:
        return self._change(
            lease.key,
            lease.slot,
            lambda row: row.given_back(lease, self.clock.now(), failed=failed, bar=bar, live_for=live_for),
        )

    @override
    def invalidate(self, key: TokenKey, token_id: TokenId) -> bool:
        slots = [slot for slot, state in self.read(key).items() if state.token_id == token_id]
        return any(
            self._change(key, slot, lambda row: row.invalidated(token_id, self.clock.now())) for slot in slots
        )

    @override
    def count(self, uses: Mapping[tuple[TokenKey, int], int]) -> None:
        for (key, slot), times in uses.items():
            self._change(key, slot, partial(TokenRow.used, times=times))

    @override
    def sweep(self, *, unused_for: timedelta, limit: int) -> int:
        now = self.clock.now() - self.skew
        before = now - unused_for
        found = self.table.unchanged_since(before)
        doomed = (one for one in found if one.row.is_unneeded(now, before=before))
        return sum(self.table.remove(one, if_unchanged=True) for one in islice(doomed, limit))

    @override
    def all(self, tenant_id: TenantId | None = None) -> Sequence[TokenRecord]:
        found = list(self.table.every() if tenant_id is None else self.table.of_tenant(tenant_id))
        now = self.clock.now()
        records = [one.record(now, skew=self.skew) for one in found]
        return sorted(records, key=lambda one: (one.key.tenant_id, one.key.api, one.key.scope, one.slot))

    @override
    def reset(self, key: TokenKey, *, forget_refresh: bool = False) -> int:
        return sum(
            self._change(key, slot, lambda row: row.reset(self.clock.now(), forget_refresh=forget_refresh))
            for slot in self.read(key)
        )

    @override
    def replace(self, record: TokenRecord, *, sealed: SealedText | None, refresh: SealedText | None) -> bool:
        return self._change(
            record.key,
            record.slot,
            lambda row: row.resealed(record.state, sealed=sealed, refresh=refresh),
        )

    @override
    def held(self, tenant_id: TenantId) -> int:
        return sum(1 for _ in self.table.of_tenant(tenant_id))

    @override
    def erase(self, tenant_id: TenantId, *, limit: int) -> int:
        doomed = islice(self.table.of_tenant(tenant_id), limit)
        return sum(self.table.remove(one, if_unchanged=False) for one in doomed)

    def _change(self, key: TokenKey, slot: int, change: Callable[[TokenRow], TokenRow | None]) -> bool:
        """Whether there is such a slot, and it may be changed so."""
        return self._put(key, slot, lambda row: None if row is None else change(row)) is not None

    def _put(
        self, key: TokenKey, slot: int, change: Callable[[TokenRow | None], TokenRow | None]
    ) -> TokenRow | None:
        """The row that *change* makes of the one that is there, and that now is there; None if it makes none.

        Raises:
            TransientError: others were quicker each time.
        """
        name = self.randomness.new_id()
        for attempt in range(1, _RACES.max_attempts + 1):
            kept = self.table.find(key, slot)
            if kept is not None and kept.written_by == name:
                return kept.row
            was = None if kept is None else kept.row
            row = change(was)
            if row is None or row is was:
                return row
            if self.table.write(key, slot, row, written_by=name, over=kept):
                return row
            self.sleeper.sleep(_RACES.delay(attempt, random=self.randomness.fraction))
        raise TransientError(
            f"the token of tenant {key.tenant_id!r} for API {key.api!r} is being changed by others all the time"
        )
