"""Tokens in a table: one row a slot, and every change of it one conditional statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    delete,
    func,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from typing_extensions import override

from api_exchange_core.adapters.sql.many_rows import ForEachRow
from api_exchange_core.adapters.sql.report_scope import reading, writing
from api_exchange_core.adapters.sql.schema import api_tokens
from api_exchange_core.adapters.system.clock import SystemClock
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

_c: Final = api_tokens.c
_KEY: Final = (_c.tenant_id, _c.api, _c.scope, _c.slot)
_NO_LEASE: Final = {"lease_owner": null(), "lease_until": null()}
_COUNT: Final = ForEachRow(
    {column.name: column.type for column in (*_KEY, _c.uses)},
    lambda row: (
        update(api_tokens)
        .where(*(column == row[column.name] for column in _KEY))
        .values(uses=_c.uses + row["uses"])
    ),
)


@dataclass(frozen=True, slots=True)
class SqlTokenStore(TokenStore, TokenRecords):
    """The tokens of a database.

    PostgreSQL tells the time itself, so the clocks of instances play no part. SQLite is a file of one machine, whose
    clock all its processes share. The time is read before the statement that uses it: one that is held up in between
    acts on an earlier time, which gives away nothing too soon.

    Args:
        engine: of the database.
        clock: tells the time in the database's place.
    """

    engine: Engine
    clock: Clock | None = None

    @override
    def read(self, key: TokenKey) -> Mapping[int, TokenState]:
        wanted = select(api_tokens).where(*_of(key))
        with reading(self.engine, key.tenant_id) as connection:
            rows = connection.execute(wanted).all()
            now = self._now(connection) if rows else None
        return {} if now is None else {row.slot: _state(row, now) for row in rows}

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
        with writing(self.engine, key.tenant_id) as connection:
            now = self._now(connection)
            taken = {"lease_owner": owner, "lease_until": now + lease, "changed_at": now}
            # Where there is no row, there is no token to have seen, and this makes one.
            first = {
                "tenant_id": key.tenant_id,
                "api": key.api,
                "scope": key.scope,
                "slot": slot,
                "fence": 1,
                **taken,
            }
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            statement = (
                dialect.insert(api_tokens)
                .values(first)
                .on_conflict_do_update(
                    index_elements=_KEY,
                    set_={"fence": _c.fence + 1, **taken},
                    where=and_(_c.token_id.is_not_distinct_from(seen), *_free(now, takeover)),
                )
                .returning(_c.fence, _c.refresh, _c.failures)
            )
            row = connection.execute(statement).first()
        if row is None:
            return None
        return TokenLease(key, slot, owner, row.fence, _sealed(row.refresh), row.failures)

    @override
    def store(self, lease: TokenLease, token: NewToken) -> bool:
        with writing(self.engine, lease.key.tenant_id) as connection:
            now = self._now(connection)
            changes: dict[str, Any] = {
                "generation": _c.generation + 1,
                "token_id": token.token_id,
                "sealed": token.sealed,
                "expires_at": now + token.expires_in,
                "lifetime": token.lifetime,
                "live_until": now + token.live_for,
                "failures": 0,
                "barred_until": null(),
                "changed_at": now,
                **_NO_LEASE,
            }
            if token.refresh is not None:
                changes["refresh"] = token.refresh
            return _change(connection, _held(lease), changes) == 1

    @override
    def give_back(
        self, lease: TokenLease, *, failed: bool, bar: timedelta = NOTHING, live_for: timedelta = NOTHING
    ) -> bool:
        with writing(self.engine, lease.key.tenant_id) as connection:
            now = self._now(connection)
            changes: dict[str, Any] = {"changed_at": now, **_NO_LEASE}
            if failed:
                changes["failures"] = _c.failures + 1
            if bar > NOTHING:
                changes["barred_until"] = now + bar
            if live_for > NOTHING:
                changes["live_until"] = now + live_for
            return _change(connection, _held(lease), changes) == 1

    @override
    def invalidate(self, key: TokenKey, token_id: TokenId) -> bool:
        with writing(self.engine, key.tenant_id) as connection:
            now = self._now(connection)
            gone = {
                "token_id": null(),
                "sealed": null(),
                "expires_at": now,
                "live_until": now,
                "changed_at": now,
            }
            return _change(connection, (*_of(key), _c.token_id == token_id), gone) == 1

    @override
    def all(self, tenant_id: TenantId | None = None) -> Sequence[TokenRecord]:
        wanted = select(api_tokens).order_by(*_KEY)
        if tenant_id is not None:
            wanted = wanted.where(_c.tenant_id == tenant_id)
        with reading(self.engine, tenant_id) as connection:
            now = self._now(connection)
            rows = connection.execute(wanted).all()
        return [
            TokenRecord(TokenKey(row.tenant_id, row.api, row.scope), row.slot, _state(row, now))
            for row in rows
        ]

    @override
    def reset(self, key: TokenKey, *, forget_refresh: bool = False) -> int:
        with writing(self.engine, key.tenant_id) as connection:
            changes: dict[str, Any] = {
                "fence": _c.fence + 1,
                "failures": 0,
                "barred_until": null(),
                "changed_at": self._now(connection),
                **_NO_LEASE,
            }
            if forget_refresh:
                changes["refresh"] = null()
            return _change(connection, _of(key), changes)

    @override
    def replace(self, record: TokenRecord, *, sealed: SealedText | None, refresh: SealedText | None) -> bool:
        unchanged = (
            *_of(record.key),
            _c.slot == record.slot,
            _c.sealed.is_not_distinct_from(record.state.sealed),
            _c.refresh.is_not_distinct_from(record.state.refresh),
        )
        with writing(self.engine, record.key.tenant_id) as connection:
            return _change(connection, unchanged, {"sealed": sealed, "refresh": refresh}) == 1

    @override
    def count(self, uses: Mapping[tuple[TokenKey, int], int]) -> None:
        rows = [
            {"tenant_id": key.tenant_id, "api": key.api, "scope": key.scope, "slot": slot, "uses": number}
            for (key, slot), number in sorted(uses.items(), key=_address)  # in one order, against deadlocks
        ]
        if rows:
            with writing(self.engine, None) as connection:
                _COUNT.run(connection, rows)

    @override
    def sweep(self, *, unused_for: timedelta, limit: int) -> int:
        with reading(self.engine, None) as connection:
            now = self._now(connection)
            where = _swept(now, now - unused_for)
            found = connection.execute(select(*_KEY).where(*where).limit(limit)).all()
        if not found:
            return 0
        with writing(self.engine, None) as connection:
            doomed = tuple_(*_KEY).in_([tuple(row) for row in found])
            return connection.execute(delete(api_tokens).where(doomed, *where)).rowcount

    def _now(self, connection: Connection) -> datetime:
        if self.clock is not None:
            return self.clock.now()
        if connection.dialect.name == "sqlite":
            return SystemClock().now()
        now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return now


def _address(use: tuple[tuple[TokenKey, int], int]) -> tuple[str, str, str, int]:
    (key, slot), _ = use
    return key.tenant_id, key.api, key.scope, slot


def _of(key: TokenKey) -> tuple[ColumnElement[bool], ...]:
    return (_c.tenant_id == key.tenant_id, _c.api == key.api, _c.scope == key.scope)


def _held(lease: TokenLease) -> tuple[ColumnElement[bool], ...]:
    """Also after its time, as long as nobody else was given one. The owner tells it from leases of a row before."""
    return (
        *_of(lease.key),
        _c.slot == lease.slot,
        _c.fence == lease.fence,
        _c.lease_owner == lease.owner,
    )


def _free(now: datetime, takeover: Takeover) -> list[ColumnElement[bool]]:
    free: ColumnElement[bool] = _c.lease_owner.is_(None)
    if takeover.after is not None:
        free = or_(free, _c.lease_until <= now - takeover.after)
    conditions = [free, _past(_c.barred_until, now)]
    return conditions if takeover.beside_live else [*conditions, _past(_c.live_until, now)]


def _swept(now: datetime, before: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        _c.changed_at <= before,
        _past(_c.expires_at, before),
        _past(_c.live_until, now),
        _past(_c.barred_until, now),
        _c.lease_owner.is_(None),
        _c.refresh.is_(None),
    )


def _past(column: ColumnElement[Any], now: datetime) -> ColumnElement[bool]:
    return or_(column.is_(None), column <= now)


def _change(connection: Connection, where: Sequence[ColumnElement[bool]], changes: Mapping[str, Any]) -> int:
    return connection.execute(update(api_tokens).where(*where).values(changes)).rowcount


def _state(row: Row[*tuple[Any, ...]], now: datetime) -> TokenState:
    return TokenState(
        generation=row.generation,
        token_id=row.token_id,
        sealed=_sealed(row.sealed),
        refresh=_sealed(row.refresh),
        expires_in=_span(row.expires_at, now),
        lifetime=NOTHING if row.lifetime is None else row.lifetime,
        live_for=max(_span(row.live_until, now), NOTHING),
        leased_for=None if row.lease_owner is None else _span(row.lease_until, now),
        failures=row.failures,
        barred_for=max(_span(row.barred_until, now), NOTHING),
        uses=row.uses,
    )


def _span(until: datetime | None, now: datetime) -> timedelta:
    return NOTHING if until is None else until - now


def _sealed(text: str | None) -> SealedText | None:
    return None if text is None else SealedText(text)
