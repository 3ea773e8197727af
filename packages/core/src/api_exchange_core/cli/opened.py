"""Opening the stores of an exchange for a command that needs no exchange."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.telemetry.logging import configure_logging
from api_exchange_core.cli.platforms import store_of_platform
from api_exchange_core.containers.store import Store
from api_exchange_core.domain.errors import DeclarationError


@contextmanager
def opened(database_url: str | None, *, log_level: str = "WARNING") -> Iterator[Store]:
    """The stores of the platform that the environment names, closed after the block.

    Args:
        database_url: of their database; the environment's if not given.
        log_level: least level of what is logged, to standard error, while the command works.

    Raises:
        DeclarationError: the platform is not known here, the URL is none, or the schema is not what this release
            works with.
        TransientError: the database could not be reached.
    """
    configure_logging(json=not sys.stderr.isatty(), level=log_level)
    with store_of_platform()(database_url) as store:
        _check_schema(migrate.current(store.engine()))
        yield store


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
