"""The request log in a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, bindparam, null, select, update
from typing_extensions import override

from api_exchange_core.adapters.sql.many_rows import InsertRows
from api_exchange_core.adapters.sql.schema import requests
from api_exchange_core.adapters.sql.transaction import Transaction
from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.domain.idempotency import RequestKey
from api_exchange_core.ports.request_log import RequestLog, Standing

_ADD = InsertRows(requests, lambda insert: insert.on_conflict_do_nothing())

_this = (
    requests.c.tenant_id == bindparam("of_tenant"),
    requests.c.function == bindparam("of_function"),
    requests.c.key == bindparam("of_key"),
)
_FOUND = select(requests.c.fingerprint, requests.c.held_until).where(*_this)
_TAKE_OVER = (
    update(requests)
    .where(*_this, requests.c.fingerprint == bindparam("same"), requests.c.held_until <= bindparam("now"))
    .values(held_until=bindparam("new_until"))
)
_COMPLETE = update(requests).where(*_this, requests.c.held_until.is_not(None)).values(held_until=null())


@dataclass(frozen=True, slots=True)
class SqlRequestLog(RequestLog):
    """The requests that a database remembers."""

    engine: Engine

    @override
    def reserve(self, request: RequestKey, *, now: datetime, until: datetime) -> Standing:
        transaction = Transaction(self.engine, request.tenant_id)
        try:
            with transaction.writing() as connection:
                standing = _standing(connection, request, now=now, until=until)
            transaction.commit()
        finally:
            transaction.close()
        return standing

    @override
    def complete(self, request: RequestKey) -> None:
        transaction = Transaction(self.engine, request.tenant_id)
        try:
            with transaction.writing() as connection:
                connection.execute(_COMPLETE, _named(request))
            transaction.commit()
        finally:
            transaction.close()


def _standing(connection: Connection, request: RequestKey, *, now: datetime, until: datetime) -> Standing:
    row: dict[str, object] = {
        "tenant_id": request.tenant_id,
        "function": request.function,
        "key": request.key,
        "fingerprint": request.fingerprint,
        "received_at": now,
        "held_until": until,
    }
    if _ADD.run(connection, [row]):
        return Standing.OURS
    taking = {**_named(request), "same": request.fingerprint, "now": now, "new_until": until}
    if connection.execute(_TAKE_OVER, taking).rowcount:
        return Standing.OURS
    found = connection.execute(_FOUND, _named(request)).first()
    if found is None:
        raise LostRaceError("the entry of a request was removed while it was asked for")
    if found.fingerprint != request.fingerprint:
        return Standing.OTHER
    return Standing.TAKEN_IN if found.held_until is None else Standing.UNDER_WAY


def _named(request: RequestKey) -> dict[str, object]:
    return {"of_tenant": request.tenant_id, "of_function": request.function, "of_key": request.key}
