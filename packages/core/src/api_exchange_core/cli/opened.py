"""Opening the stores of an exchange for a command that needs no exchange."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dependency_injector import providers

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.cli.settings import settings_with
from api_exchange_core.containers.local import LocalStore
from api_exchange_core.domain.errors import DeclarationError


@contextmanager
def opened(database_url: str | None) -> Iterator[LocalStore]:
    """The stores of the database at *database_url*, or at the one of the environment, closed after the block.

    Raises:
        DeclarationError: the URL is none, or the schema is not what this release works with.
        TransientError: the database could not be reached.
    """
    store = LocalStore(settings=providers.Object(settings_with(database_url=database_url)))
    engine = store.engine()
    try:
        _check_schema(migrate.current(engine))
        yield store
    finally:
        engine.dispose()


def _check_schema(revision: str | None) -> None:
    if revision is None:
        raise DeclarationError(
            "the database holds no exchange: is this the right one (--database-url, API_EXCHANGE_DATABASE_URL)? If it "
            "is new, `api-exchange db upgrade` makes the tables"
        )
    if revision != migrate.HEAD:
        raise DeclarationError(
            f"the database is at revision {revision} and this release works with {migrate.HEAD}: run `api-exchange db "
            "upgrade`, or the release that the database is of"
        )
