"""Leases in a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, bindparam, func, null, or_, select, update
from typing_extensions import override

from api_exchange_core.adapters.sql.across_tenants import reading, writing_once
from api_exchange_core.adapters.sql.many_rows import InsertRows
from api_exchange_core.adapters.sql.schema import chore_leases
from api_exchange_core.ports.leases import Leases

_MAKE = InsertRows(
    chore_leases,
    lambda insert: insert.on_conflict_do_nothing(),
    without=("owner", "until", "last_run_at"),
)

_is_free = (
    chore_leases.c.name == bindparam("of_name"),
    or_(
        chore_leases.c.until.is_(None),
        chore_leases.c.until <= bindparam("now"),
        chore_leases.c.owner == bindparam("of_owner"),
    ),
    or_(chore_leases.c.last_run_at.is_(None), chore_leases.c.last_run_at <= bindparam("not_since")),
)
_EXISTS = select(chore_leases.c.name).where(chore_leases.c.name == bindparam("of_name"))
_FREE = _EXISTS.where(*_is_free)
_TAKE = (
    update(chore_leases).where(*_is_free).values(owner=bindparam("of_owner"), until=bindparam("new_until"))
)
_ran_at = bindparam("ran_at", type_=chore_leases.c.last_run_at.type)
_RELEASE = (
    update(chore_leases)
    .where(chore_leases.c.name == bindparam("of_name"), chore_leases.c.owner == bindparam("of_owner"))
    .values(
        owner=null(),
        until=null(),
        last_run_at=func.coalesce(_ran_at, chore_leases.c.last_run_at),
    )
)


@dataclass(frozen=True, slots=True)
class SqlLeases(Leases):
    """The leases of a database: a row a name, which stays once it was made.

    Whoever finds a lease taken has only read, so that a hundred instances that ask every minute write nothing.
    """

    engine: Engine

    @override
    def take(
        self, name: str, *, owner: str, now: datetime, until: datetime, every: timedelta = timedelta(0)
    ) -> bool:
        given = {"of_name": name, "of_owner": owner, "now": now, "not_since": now - every}
        with reading(self.engine) as connection:
            is_known = connection.execute(_EXISTS, {"of_name": name}).first() is not None
            if is_known and connection.execute(_FREE, given).first() is None:
                return False
        if not is_known:
            with writing_once(self.engine) as connection:
                _MAKE.run(connection, [{"name": name}])
        with writing_once(self.engine) as connection:
            return connection.execute(_TAKE, {**given, "new_until": until}).rowcount == 1

    @override
    def release(self, name: str, *, owner: str, ran_at: datetime | None = None) -> None:
        with writing_once(self.engine) as connection:
            connection.execute(_RELEASE, {"of_name": name, "of_owner": owner, "ran_at": ran_at})
