"""Trying to cross from one tenant to another, through the pool that the functions use."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, Executable, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from api_exchange_core.adapters.sql import across_tenants
from api_exchange_core.adapters.sql import engine as plain
from api_exchange_core.adapters.sql.doctor.check import Check
from api_exchange_core.adapters.sql.errors import is_denied, is_missing_table, translated
from api_exchange_core.adapters.sql.row_security import SETTING, tables_of_tenants
from api_exchange_core.adapters.sql.schema import entities, metadata
from api_exchange_core.adapters.sql.scope import Scope
from api_exchange_core.domain.errors import TransientError

_TIMES: Final = 3
"""As often a transaction is followed by another: a pooler has several connections to mix up."""

_BECOME: Final = text(f"SELECT set_config('{SETTING}', :tenant_id, true)")
_LEFT: Final = text(
    f"SELECT current_user, session_user, coalesce(current_setting('{SETTING}', true), '') AS tenant"
)


def crossing(engine: Engine) -> Check:
    """Whether a transaction of one tenant reaches another's rows, or one without a tenant anybody's."""
    one, other = (f"doctor-{secrets.token_hex(8)}" for _ in range(2))
    wrong: list[str] = []
    try:
        with _undone(engine, Scope.of_tenant(one)) as connection:
            connection.execute(insert(entities).values(_row(one)))
            connection.execute(_BECOME, {"tenant_id": other})
            wrong += _reached(connection, one)
    except TransientError as error:
        wrong.append(f"a transaction of a tenant did not come about: {error}")
    with translated(), engine.connect() as connection:
        wrong += [
            f"without a tenant there are rows in {table!r}"
            for table in tables_of_tenants()
            if _sees_any(connection, table)
        ]
    return Check(
        "isolation",
        "a tenant's transaction reaches no other tenant's rows, and one without a tenant reaches none",
        wrong,
        "mend what the other checks found; if they found nothing, this is a bug of the framework: report it",
    )


def leaving(engine: Engine) -> Check:
    """Whether a transaction begins with a tenant or a role that is not its own, on a connection that was in use."""
    wrong: list[str] = []
    try:
        for when, come_before in [*_BEFORE.items()] * _TIMES:
            come_before(engine)
            wrong += _left(engine, when)
    except TransientError as error:
        wrong.append(f"a transaction did not come about: {error}")
    return Check(
        "pool",
        "each transaction begins without a tenant and in the login's own role, on whatever connection of the pool",
        sorted(set(wrong)),
        f"take {SETTING} and role out of ALTER ROLE … SET, ALTER DATABASE … SET, the options of the database URL, and "
        "whatever else sets them for a session; let a pooler hand on no connection within a transaction",
    )


@contextmanager
def _undone(engine: Engine, scope: Scope) -> Iterator[Connection]:
    with translated(), engine.connect() as connection:
        yield scope.on(connection)
        connection.rollback()


def _reached(connection: Connection, tenant_id: str) -> Iterator[str]:
    """What the transaction, which is another tenant's by now, can do with the rows of *tenant_id*."""
    his = entities.c.tenant_id == tenant_id
    if connection.execute(select(func.count()).select_from(entities).where(his)).scalar_one():
        yield "another tenant's rows are read"
    if connection.execute(select(entities.c.id).where(his).with_for_update()).first():
        yield "another tenant's rows are locked"
    if connection.execute(update(entities).where(his).values(version=2)).rowcount:
        yield "another tenant's rows are changed"
    if not _denied(connection, insert(entities).values(_row(tenant_id) | {"id": "another"})):
        yield "rows are written for another tenant"


def _denied(connection: Connection, statement: Executable) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(statement)
    except DBAPIError as error:
        if is_denied(error):
            return True
        raise
    return False


def _sees_any(connection: Connection, table: str) -> bool:
    try:
        with connection.begin_nested():
            return connection.execute(select(metadata.tables[table].c.tenant_id).limit(1)).first() is not None
    except DBAPIError as error:
        if is_denied(error) or is_missing_table(error):
            return False
        raise


def _row(tenant_id: str) -> dict[str, Any]:
    now = func.now()
    texts = dict.fromkeys(("id", "canonical_type", "source", "external_id", "content_hash"), "doctor")
    return {"tenant_id": tenant_id, "version": 1, "created_at": now, "updated_at": now, **texts}


def _a_commit(engine: Engine) -> None:
    with translated(), engine.connect() as connection:
        Scope.of_tenant("doctor").on(connection).execute(_LEFT)
        connection.commit()


def _a_rollback(engine: Engine) -> None:
    with _undone(engine, Scope.of_tenant("doctor")) as connection:
        connection.execute(_LEFT)


def _work_across_tenants(engine: Engine) -> None:
    with across_tenants.reading(engine) as connection:
        connection.execute(_LEFT)


_BEFORE: Final[Mapping[str, Callable[[Engine], None]]] = {
    "at the start": lambda _: None,
    "after a commit": _a_commit,
    "after a rollback": _a_rollback,
    "after work across tenants": _work_across_tenants,
}


def _left(engine: Engine, when: str) -> Iterator[str]:
    with plain.writing(engine) as connection:
        left = connection.execute(_LEFT).one()
    if left.tenant:
        yield f"{when} the next transaction is of tenant {left.tenant!r}"
    if left.current_user != left.session_user:
        yield f"{when} the next transaction runs as {left.current_user!r}"
