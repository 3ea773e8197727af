"""A tenant's transaction, begun when it is first needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from api_exchange_core.adapters.sql.errors import translated
from api_exchange_core.adapters.sql.scope import Scope
from api_exchange_core.adapters.sql.sqlite_engine import READ_ONLY
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import TenantId


class Transaction:
    """One transaction of one tenant, shared by the parts of a unit of work.

    On SQLite, where one transaction writes at a time, what is read before the first write is read without waiting for
    the writer, in a transaction that ends when the writing one begins. A row may change in between, as it may between
    two statements of PostgreSQL's READ COMMITTED; so every write says what it expects to find.

    Args:
        engine: of the database.
        tenant_id: whose rows are read and written.
    """

    def __init__(self, engine: Engine, tenant_id: TenantId) -> None:
        self._engine = engine
        self.tenant_id = tenant_id
        self._connection: Connection | None = None
        self._only_reads = False
        self._failed = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The connection, for statements that only read."""
        with translated():
            if self._connection is None:
                self._connection = self._begin(only_reads=self._engine.dialect.name == "sqlite")
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The connection, for statements that write or lock. An error in the block ends the transaction for good."""
        try:
            with translated():
                if self._connection is not None and self._only_reads:
                    self.close()
                if self._connection is None:
                    self._connection = self._begin(only_reads=False)
                yield self._connection
        except BaseException:
            self._failed = True
            raise

    def commit(self) -> None:
        """Make what was written durable.

        Raises:
            LostRaceError: the database gave another transaction the way.
            TransientError: a write has failed, so nothing is written; or it is unknown whether it is.
        """
        if self._failed:
            raise TransientError(
                "a write of this unit of work failed, and the rest of it cannot be committed"
            )
        if self._connection is not None:
            with translated():
                self._connection.commit()
            self.close()

    def close(self) -> None:
        """Undo what was not committed, and give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with translated():
                connection.close()

    def _begin(self, *, only_reads: bool) -> Connection:
        """Every transaction of a tenant begins here, with its first statement."""
        self._only_reads = only_reads
        connection = Scope.of_tenant(self.tenant_id).on(self._engine.connect())
        return connection.execution_options(**{READ_ONLY: True}) if only_reads else connection
