"""Finding the messages about an entity, which say so in their envelope only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, Table, select

from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.erasure import Subject
from api_exchange_core.domain.errors import InvalidMessageError, UnknownEnvelopeError

_AT_ONCE: Final = 500  # bodies of up to some hundred kilobytes each


def messages_about(connection: Connection, table: Table, subject: Subject, *, limit: int | None) -> list[int]:
    """Ids of rows of the tenant's messages in *table* that are about the subject's entity; at most *limit*."""
    found: list[int] = []
    for id_, body in _bodies(connection, table, subject):
        if _is_about(body, subject):
            found.append(id_)
            if len(found) == limit:
                break
    return found


def _bodies(connection: Connection, table: Table, subject: Subject) -> Iterator[tuple[int, bytes]]:
    last = 0
    while True:
        page = (
            select(table.c.id, table.c.body)
            .where(table.c.tenant_id == subject.tenant_id, table.c.id > last)
            .order_by(table.c.id)
            .limit(_AT_ONCE)
        )
        rows = connection.execute(page).all()
        yield from ((row.id, row.body) for row in rows)
        if len(rows) < _AT_ONCE:
            return
        last = rows[-1].id


def _is_about(body: bytes, subject: Subject) -> bool:
    """Whether it is a message, a dead letter or a line of output about the entity.

    One that cannot be read, but has the id in it, counts: what is to be erased does not stay for a broken envelope.
    """
    id_ = subject.entity_id
    if id_ is None or id_.encode() not in body:
        return False
    try:
        message = decode(body)
    except (InvalidMessageError, UnknownEnvelopeError):
        return True
    return message.entity is not None and message.entity.id == id_
