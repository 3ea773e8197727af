"""`api-exchange run`."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from api_exchange_core.cli.arguments import DatabaseUrl, ExchangeTarget

if TYPE_CHECKING:
    from api_exchange_core.domain.exchange import Exchange
    from api_exchange_core.local.runner import Runner

app = typer.Typer()


@app.command()
def run(
    target: ExchangeTarget,
    *,
    database_url: DatabaseUrl = None,
    host: Annotated[str | None, typer.Option(help="Address that HTTP functions are served on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Their port; 0 for any free one.")
    ] = None,
    output_folder: Annotated[Path | None, typer.Option(help="Where output files are kept.")] = None,
    tick_now: Annotated[bool, typer.Option("--tick-now", help="Fire every timer once at the start.")] = False,
    timers: Annotated[
        bool | None, typer.Option(help="Fire timers by their schedules, in this process.")
    ] = None,
    json_logs: Annotated[
        bool, typer.Option("--json-logs", help="Log JSON lines, even to a terminal.")
    ] = False,
) -> None:
    """Run an exchange on this machine: queues, timers and HTTP, until Ctrl-C or SIGTERM.

    What is in hand then is finished, and what has not begun is given back; a second signal ends it at once, and what
    was in hand is delivered again. The database is brought up to date first.
    """
    from api_exchange_core.adapters.telemetry.logging import configure_logging
    from api_exchange_core.cli.loading import load_exchange
    from api_exchange_core.cli.settings import settings_with
    from api_exchange_core.containers.local import prepared_container

    stop = _stop_signal()
    exchange = load_exchange(target)
    configure_logging(json=json_logs or not sys.stderr.isatty())
    settings = settings_with(
        database_url=database_url, host=host, port=port, output_folder=output_folder, timers=timers
    )
    container = prepared_container(exchange, settings)
    runner = container.runner()
    runner.start()
    try:
        _announce(exchange, runner)
        if tick_now:
            runner.tick_all()
        stop.wait()
        print("stopping: finishing what is in hand", file=sys.stderr)
    finally:
        runner.stop()
        container.engine().dispose()


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
        lines.append(f"HTTP on http://{runner.host}:{runner.http_port}")
    print("\n".join([*lines, "Ctrl-C stops it"]), file=sys.stderr, flush=True)
