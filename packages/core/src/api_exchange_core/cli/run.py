"""`api-exchange run`: an exchange on this machine until it is told to stop."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING

from api_exchange_core.adapters.sql import migrate
from dependency_injector import providers
from pydantic import SecretStr

from api_exchange_core.adapters.telemetry.observer import configure_logging
from api_exchange_core.containers import LocalContainer, LocalSettings, local_container
from api_exchange_core.domain.trigger import TimerTrigger

if TYPE_CHECKING:
    from api_exchange_core.domain.exchange import Exchange
    from api_exchange_core.ports.observer import Observer


def run(exchange: Exchange, settings: LocalSettings, *, json_logs: bool, tick_now: bool) -> None:
    """Run *exchange* until SIGTERM or SIGINT, then finish what is in hand.

    Args:
        exchange: the application.
        settings: where its database is, and where HTTP is served.
        json_logs: log JSON lines, even to a terminal.
        tick_now: fire every timer once at the start.

    Raises:
        DeclarationError: it cannot be started as declared.
        TransientError: the database could not be reached.
    """
    configure_logging(json=json_logs or not sys.stderr.isatty())
    stop = _stop_signal()
    container = prepared_container(exchange, settings)
    runner = container.runner()
    runner.start()
    try:
        _announce(exchange, settings, runner.http_port)
        if tick_now:
            for function in exchange.functions:
                if isinstance(function.trigger, TimerTrigger):
                    runner.tick(function.name)
        stop.wait()
    finally:
        print("stopping: finishing what is in hand ...", file=sys.stderr)
        runner.stop()
        container.engine().dispose()


def prepared_container(
    exchange: Exchange, settings: LocalSettings, *, observer: Observer | None = None
) -> LocalContainer:
    """The container of *exchange*, its database migrated and its tenants known.

    Args:
        exchange: the application.
        settings: where its database is.
        observer: hears what happens, instead of the logs.
    """
    container = local_container(exchange, settings)
    if observer is not None:
        container.observer.override(providers.Object(observer))
    engine = container.engine()
    if not migrate.is_current(engine):
        migrate.upgrade(engine)
    container.tenants().add(exchange.tenants, now=container.clock().now())
    return container


def with_database(settings: LocalSettings, database_url: str | None) -> LocalSettings:
    """*settings*, with the database of a command line option if it was given."""
    if database_url is None:
        return settings
    return settings.model_copy(update={"database_url": SecretStr(database_url)})


def _stop_signal() -> threading.Event:
    stop = threading.Event()

    def handle(_: int, __: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


def _announce(exchange: Exchange, settings: LocalSettings, http_port: int | None) -> None:
    names = ", ".join(function.name for function in exchange.functions)
    print(f"{exchange.name}: running {len(exchange.functions)} functions ({names})", file=sys.stderr)
    if http_port is not None:
        print(f"HTTP on http://{settings.host}:{http_port}", file=sys.stderr)
    print("stop with Ctrl-C", file=sys.stderr)
