"""One machine, as a platform that the commands work on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dependency_injector import providers

from api_exchange_core.cli.settings import settings_with
from api_exchange_core.containers.local import LocalStore


@contextmanager
def store(database_url: str | None) -> Iterator[LocalStore]:
    """The stores of the database at *database_url*, or at the one of the environment.

    Raises:
        DeclarationError: a setting is wrong.
    """
    opened = LocalStore(settings=providers.Object(settings_with(database_url=database_url)))
    engine = opened.engine()
    try:
        yield opened
    finally:
        engine.dispose()
