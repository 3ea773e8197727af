"""`api-exchange run`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from api_exchange_core.cli.arguments import DatabaseUrl, ExchangeTarget

if TYPE_CHECKING:
    from api_exchange_core.domain.exchange import Exchange
    from api_exchange_core.local.runner import Runner

app = typer.Typer()

BROKEN = 3
"""Exit code of a run that ended by itself, or that had to leave processors behind."""


class LogLevel(StrEnum):
    """Levels of lines in the log."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


@app.command()
def run(
    target: ExchangeTarget,
    *,
    database_url: DatabaseUrl = None,
    http: Annotated[
        bool | None,
        typer.Option(
            help="Serve HTTP functions, /healthz, /readyz and /metrics; if not said, where there are HTTP functions.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address that HTTP is served on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Its port; 0 for any free one.")] = None,
    output_folder: Annotated[Path | None, typer.Option(help="Where output files are kept.")] = None,
    tick_now: Annotated[bool, typer.Option("--tick-now", help="Fire every timer once at the start.")] = False,
    timers: Annotated[
        bool | None, typer.Option(help="Fire timers by their schedules, in this process.")
    ] = None,
    json_logs: Annotated[
        bool, typer.Option("--json-logs", help="Log JSON lines, even to a terminal.")
    ] = False,
    log_level: Annotated[LogLevel, typer.Option(help="Least level that is logged.")] = LogLevel.INFO,
) -> None:
    """Run an exchange on this machine: queues, timers and HTTP, until Ctrl-C or SIGTERM.

    What is in hand then is finished, and what has not begun is given back. What is not finished within the grace
    period (API_EXCHANGE_STOP_GRACE, in seconds) is named, and delivered again; so is what was in hand when a second
    signal ends it at once. The database is brought up to date first.
    """
    from api_exchange_core.adapters.telemetry.logging import configure_logging
    from api_exchange_core.adapters.telemetry.providers import start_telemetry
    from api_exchange_core.cli.loading import load_exchange
    from api_exchange_core.cli.settings import settings_with
    from api_exchange_core.containers.local import observe, prepared_container

    stop = _stop_signal()
    exchange = load_exchange(target)
    configure_logging(json=json_logs or not sys.stderr.isatty(), level=log_level)
    settings = settings_with(
        database_url=database_url,
        http=http,
        host=host,
        port=port,
        output_folder=output_folder,
        timers=timers,
    )
    telemetry = start_telemetry(exchange.name)
    container = prepared_container(exchange, settings, page=telemetry.page)
    observe(container)
    runner = container.runner()
    runner.on_broken = stop.set
    runner.start()
    try:
        _announce(exchange, runner)
        if tick_now:
            runner.tick_all()
        stop.wait()
        print(runner.broken or "stopping", "finishing what is in hand", sep=": ", file=sys.stderr)
    finally:
        running = runner.stop()
        if running:
            _end_at_once(running)
        telemetry.shutdown()
        container.engine().dispose()
    if runner.broken is not None:
        raise typer.Exit(BROKEN)


def _end_at_once(running: Sequence[str]) -> None:
    """End the process as if it was killed: the interpreter would wait for threads that do not end."""
    print(
        f"still running: {', '.join(running)}. Ending all the same; what they have in hand is delivered again",
        file=sys.stderr,
        flush=True,
    )
    os._exit(BROKEN)


def _stop_signal() -> threading.Event:
    stop = threading.Event()

    def handle(_: int, __: FrameType | None) -> None:
        stop.set()
        # The second one ends the process: a processor that hangs would never let it stop.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


def _announce(exchange: Exchange, runner: Runner) -> None:
    names = ", ".join(function.name for function in exchange.functions)
    lines = [f"{exchange.name}: running {names} for {', '.join(exchange.tenants)}"]
    lines += [f"{name} fires next at {at:%Y-%m-%d %H:%M} UTC" for name, at in runner.next_ticks().items()]
    if runner.http_port is not None:
        paths = "/healthz, /readyz and /metrics" if runner.serves_metrics else "/healthz and /readyz"
        lines.append(f"HTTP on http://{runner.host}:{runner.http_port}, with {paths}")
    print("\n".join([*lines, "Ctrl-C stops it"]), file=sys.stderr, flush=True)
