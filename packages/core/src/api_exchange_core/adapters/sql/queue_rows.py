"""Rows of the queue table, as publishers put them there and consumers take them away.

Used by the queue in its own transactions, and by a unit of work whose store is the queue's database in its.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from sqlalchemy import Connection, Text, delete, select, update
from typing_extensions import override

from api_exchange_core.adapters.sql.many_rows import ForEachRow, InsertRows
from api_exchange_core.adapters.sql.schema import queue
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.ports.message_publisher import Outgoing

ORDERING_KEY: Final = "orderingkey"
"""Name under which the properties of a row keep its ordering key as well: a dead letter gives up its place in the
order, and a replay has it again."""

_MOST_DIGITS: Final = 18  # of a number that fits the column for sure
_OF_NO_TENANT: Final = "?"

_PUT = InsertRows(queue, without=("id", "receipt"))
_REMOVE = ForEachRow(
    {"id": queue.c.id.type, "receipt": queue.c.receipt.type},
    lambda row: delete(queue).where(queue.c.id == row["id"], queue.c.receipt == row["receipt"]),
)
_EXTEND = ForEachRow(
    {"id": queue.c.id.type, "receipt": Text(), "visible_at": queue.c.visible_at.type},
    lambda row: (
        update(queue)
        .where(queue.c.id == row["id"], queue.c.receipt == row["receipt"])
        .values(visible_at=row["visible_at"])
    ),
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What proves that a row was handed to us and to nobody since.

    Args:
        id: of the row.
        token: written into the row when it was handed out, and never used again.
        of_tenant: the row names a tenant. One that somebody else put here may not, and then no tenant's transaction
            sees it, whatever tenant its message names.
    """

    id: int
    token: str
    of_tenant: bool = True

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """The receipt of *delivery*; one that is none of ours fits no row."""
        number, _, token = delivery.receipt.removeprefix(_OF_NO_TENANT).partition(":")
        ours = number.isdecimal() and len(number) <= _MOST_DIGITS
        return cls(int(number) if ours else 0, token, not delivery.receipt.startswith(_OF_NO_TENANT))

    @override
    def __str__(self) -> str:
        return f"{'' if self.of_tenant else _OF_NO_TENANT}{self.id}:{self.token}"


def put(connection: Connection, messages: Sequence[Outgoing], *, now: datetime) -> None:
    """Put *messages* into their queues, in their order."""
    rows = [
        {
            "queue": message.queue,
            "tenant_id": message.tenant_id,
            "message_id": message.message_id,
            "body": message.body,
            "ordering_key": message.ordering_key,
            "properties": _properties(message),
            "visible_at": now + message.delay,
            "receive_count": 0,
            "enqueued_at": now,
        }
        for message in messages
    ]
    if rows:
        _PUT.run(connection, rows)


def remove(connection: Connection, deliveries: Sequence[Delivery]) -> int:
    """Take away the rows of *deliveries* that are still ours; how many these were."""
    # In the order of `extend`, which a heartbeat may be doing beside this.
    receipts = sorted((Receipt.of(delivery) for delivery in deliveries), key=lambda receipt: receipt.id)
    if not receipts:
        return 0
    return _REMOVE.run(connection, [{"id": receipt.id, "receipt": receipt.token} for receipt in receipts])


def extend(connection: Connection, deliveries: Sequence[Delivery], *, until: datetime) -> Sequence[Delivery]:
    """Keep the rows of *deliveries* invisible until *until*; those that are not ours any more."""
    receipts = [Receipt.of(delivery) for delivery in deliveries]
    in_order = sorted(receipts, key=lambda receipt: receipt.id)
    rows = [{"id": one.id, "receipt": one.token, "visible_at": until} for one in in_order]
    if not rows or _EXTEND.run(connection, rows) == len(rows):
        return ()
    wanted = select(queue.c.id, queue.c.receipt).where(queue.c.id.in_([receipt.id for receipt in receipts]))
    ours = {(row.id, row.receipt) for row in connection.execute(wanted)}
    return [
        delivery
        for delivery, receipt in zip(deliveries, receipts, strict=True)
        if (receipt.id, receipt.token) not in ours
    ]


def _properties(message: Outgoing) -> dict[str, str]:
    key = message.ordering_key
    return {**message.properties} if key is None else {**message.properties, ORDERING_KEY: key}
