"""Checkpoints in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json
from sqlalchemy import Row, bindparam, select, update
from typing_extensions import override

from api_exchange_core.adapters.sql.many_rows import InsertRows
from api_exchange_core.adapters.sql.schema import checkpoints
from api_exchange_core.adapters.sql.transaction import Transaction
from api_exchange_core.domain.checkpoint import Checkpoint, Run, Sighting
from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.ports.checkpoints import Checkpoints

_RUN: Final = TypeAdapter(Run)
_SEEN: Final = TypeAdapter(dict[str, Sighting])

_CHANGING: Final = (
    "version",
    "cursor",
    "watermark",
    "seen",
    "run",
    "runner",
    "leased_until",
    "updated_at",
)
_CREATE: Final = InsertRows(checkpoints, lambda insert: insert.on_conflict_do_nothing())
_REPLACE: Final = (
    update(checkpoints)
    .where(
        checkpoints.c.tenant_id == bindparam("of_tenant"),
        checkpoints.c.source == bindparam("of_source"),
        checkpoints.c.version == bindparam("replaces"),
    )
    .values({name: bindparam(f"new_{name}", type_=checkpoints.c[name].type) for name in _CHANGING})
)


class SqlCheckpoints(Checkpoints):
    """The checkpoints of a transaction's tenant."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    def get(self, source: str) -> Checkpoint | None:
        with self._transaction.reading() as connection:
            row = connection.execute(self._own().where(checkpoints.c.source == source)).one_or_none()
        return None if row is None else _checkpoint(row)

    @override
    def all(self) -> Sequence[Checkpoint]:
        with self._transaction.reading() as connection:
            rows = connection.execute(self._own()).all()
        # Not sorted by the database: its collation may order capitals otherwise than Python does.
        return sorted(map(_checkpoint, rows), key=lambda checkpoint: checkpoint.source)

    @override
    def write(self, written: Sequence[Checkpoint]) -> None:
        with self._transaction.writing() as connection:
            for checkpoint in written:
                row = _row(checkpoint)
                if checkpoint.version == 1:
                    first = {"tenant_id": self._transaction.tenant_id, "source": checkpoint.source, **row}
                    found = _CREATE.run(connection, [first])
                else:
                    where = {
                        "of_tenant": self._transaction.tenant_id,
                        "of_source": checkpoint.source,
                        "replaces": checkpoint.version - 1,
                    }
                    found = connection.execute(
                        _REPLACE, where | {f"new_{name}": value for name, value in row.items()}
                    ).rowcount
                if found != 1:
                    raise LostRaceError(
                        f"the checkpoint of source {checkpoint.source!r} was to be written as version "
                        f"{checkpoint.version}, and another writer was first"
                    )

    def _own(self) -> Any:
        return select(checkpoints).where(checkpoints.c.tenant_id == self._transaction.tenant_id)


def _row(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "version": checkpoint.version,
        "cursor": to_json(checkpoint.cursor).decode(),
        "watermark": checkpoint.watermark,
        "seen": to_json(checkpoint.seen).decode(),
        "run": None if checkpoint.run is None else to_json(checkpoint.run).decode(),
        "runner": checkpoint.runner,
        "leased_until": checkpoint.leased_until,
        "updated_at": checkpoint.updated_at,
    }


def _checkpoint(row: Row[Any]) -> Checkpoint:
    return Checkpoint(
        source=row.source,
        version=row.version,
        cursor=from_json(row.cursor),
        watermark=row.watermark,
        seen=_SEEN.validate_json(row.seen),
        run=None if row.run is None else _RUN.validate_json(row.run),
        runner=row.runner,
        leased_until=row.leased_until,
        updated_at=row.updated_at,
    )
