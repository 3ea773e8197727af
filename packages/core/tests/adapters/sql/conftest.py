"""A migrated database of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for


@pytest.fixture
def empty_engine(database_url: str) -> Iterator[Engine]:
    """An engine for an empty database; the test runs on SQLite and on PostgreSQL."""
    engine = create_engine_for(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(empty_engine: Engine) -> Engine:
    """An engine for a database with all tables; the test runs on SQLite and on PostgreSQL."""
    migrate.upgrade(empty_engine)
    return empty_engine
