"""The one way to the rows of all tenants.

For what is nobody's business in particular: handing messages out and taking them in, relaying the outbox, knowing
which tenants there are. In PostgreSQL each of these transactions runs as `roles.OPERATOR`, which a login reaches
by this step and never by inheritance. A tenant's own data is read and written through `Transaction`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from api_exchange_core.adapters.sql import engine as plain
from api_exchange_core.adapters.sql.scope import Scope


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction, committed when the block ends without an error."""
    with plain.writing(engine) as connection:
        yield Scope.across_tenants().on(connection)


@contextmanager
def writing_once(engine: Engine) -> Iterator[Connection]:
    """A connection for one statement that is a transaction by itself, which saves PostgreSQL two round trips."""
    with plain.writing_once(engine) as connection:
        yield Scope.across_tenants().on(connection)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for statements that only read, each what is committed by then, and wait for no writer."""
    with plain.reading(engine) as connection:
        yield Scope.across_tenants().on(connection)
