"""Walking through what is kept for a time.

There is no index on the times: each message would pay for it, and it would serve a clean-up a day. Errors have numbers
in their order. Versions are walked along their key, oldest first of each entity, so that the history of an entity has
no gap at any moment. The keys of the journal and of the requests are in no order that has to do with time or place, so
these two are walked as they lie on the disk: SQLite by row number, PostgreSQL by page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    and_,
    delete,
    func,
    literal_column,
    select,
    text,
    true,
    tuple_,
)
from typing_extensions import override

from api_exchange_core.adapters.sql.across_tenants import reading, writing
from api_exchange_core.adapters.sql.schema import entities, entity_versions, errors, journal, requests
from api_exchange_core.domain.retention import Expiry, Kept
from api_exchange_core.ports.journal import UNDECIDED
from api_exchange_core.ports.retention import Place, RetentionStore, Step

_ROWS_A_PAGE: Final = 40
"""Rows of the journal or of the requests in a page of 8 kB, about."""

_PAGES: Final = text("SELECT pg_relation_size(:name) / current_setting('block_size')::int")


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Which rows a step looks at, and where the next one begins."""

    where: tuple[ColumnElement[bool], ...]
    next: Place | None


@dataclass(frozen=True, slots=True)
class SqlRetentionStore(RetentionStore):
    """Purges the tables of a database."""

    engine: Engine

    @override
    def purge(self, expiry: Expiry, *, after: Place | None, limit: int, dry_run: bool = False) -> Step:
        with reading(self.engine) as connection:
            stretch = _stretch(connection, expiry.kept, after, limit)
            table, expired = _expired(expiry)
            counted = select(func.count()).select_from(table).where(*stretch.where, expired)
            found = connection.execute(counted).scalar_one()
        if found and not dry_run:
            # Nothing is written where nothing has expired: on SQLite, nobody waits for that.
            with writing(self.engine) as connection:
                found = connection.execute(delete(table).where(*stretch.where, expired)).rowcount
        return Step(found, stretch.next)


def _expired(expiry: Expiry) -> tuple[Table, ColumnElement[bool]]:
    match expiry.kept:
        case Kept.JOURNAL:
            undecided = journal.c.state.in_([state.value for state in UNDECIDED])
            return journal, and_(journal.c.finished_at < expiry.before, ~undecided)
        case Kept.ERRORS:
            return errors, errors.c.occurred_at < expiry.before
        case Kept.VERSIONS:
            return entity_versions, _expired_version(expiry)
        case Kept.REQUESTS:
            return requests, requests.c.received_at < expiry.before


def _expired_version(expiry: Expiry) -> ColumnElement[bool]:
    """Neither the current version, nor one of the last, nor one that an older version must stay for.

    Clocks of several machines differ, so a version may be stamped later than the one after it.
    """
    head, kept = entities.alias("head"), entity_versions.alias("kept")
    version = entity_versions.c
    newer = 1 if expiry.beyond is None else expiry.beyond
    outdated = (
        select(1)
        .where(
            head.c.tenant_id == version.tenant_id,
            head.c.id == version.entity_id,
            version.version <= head.c.version - newer,
        )
        .exists()
    )
    if expiry.before is None:
        return outdated
    older_stays = (
        select(1)
        .where(
            kept.c.tenant_id == version.tenant_id,
            kept.c.entity_id == version.entity_id,
            kept.c.version <= version.version,
            kept.c.created_at >= expiry.before,
        )
        .exists()
    )
    return and_(outdated, ~older_stays)


def _stretch(connection: Connection, kept: Kept, after: Place | None, limit: int) -> _Stretch:
    match kept:
        case Kept.JOURNAL:
            return _as_it_lies(connection, journal, after, limit)
        case Kept.ERRORS:
            return _keys(connection, errors, [errors.c.id], after, limit)
        case Kept.VERSIONS:
            return _keys(connection, entity_versions, list(entity_versions.primary_key), after, limit)
        case Kept.REQUESTS:
            return _as_it_lies(connection, requests, after, limit)


def _as_it_lies(connection: Connection, table: Table, after: Place | None, limit: int) -> _Stretch:
    if connection.dialect.name == "postgresql":
        return _pages(connection, table, after, limit)
    return _keys(connection, table, [literal_column("rowid")], after, limit)


def _keys(
    connection: Connection,
    table: Table,
    key: Sequence[ColumnElement[Any]],
    after: Place | None,
    limit: int,
) -> _Stretch:
    """The next *limit* rows along *key*."""
    begin = true() if after is None else tuple_(*key) > tuple(orjson.loads(after))
    last = connection.execute(
        select(*key).select_from(table).where(begin).order_by(*key).offset(limit - 1).limit(1)
    ).first()
    if last is None:
        return _Stretch((begin,), None)
    return _Stretch((begin, tuple_(*key) <= tuple(last)), Place(orjson.dumps(list(last)).decode()))


def _pages(connection: Connection, table: Table, after: Place | None, limit: int) -> _Stretch:
    """The next pages, as many as hold about *limit* rows. PostgreSQL 14 and later read no others for it."""
    first = 0 if after is None else int(after)
    end = first + max(1, limit // _ROWS_A_PAGE)
    pages = connection.execute(_PAGES, {"name": table.name}).scalar_one()
    ctid: ColumnElement[Any] = literal_column("ctid")
    where = (ctid >= _page(first), ctid < _page(end))
    return _Stretch(where, Place(str(end)) if end < pages else None)


def _page(number: int) -> ColumnElement[Any]:
    return literal_column(f"'({number},0)'::tid")
