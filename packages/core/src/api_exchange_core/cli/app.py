"""The commands, put together, and how their errors end.

A command is a module in `commands`, whose ``app`` is a Typer app: one without a name for commands such as
``api-exchange check``, one with a name for a group of them. A module there is registered by being there. It
imports what it needs within its functions, so that no command waits for the imports of another.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from pkgutil import iter_modules
from typing import Annotated

import typer

from api_exchange_core.cli import commands
from api_exchange_core.domain.errors import ExchangeError

FAILED = 2
"""Exit code of a command that could not do its work; 1 is for what `check` finds."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Run one command, and end the process with its exit code.

    Args:
        arguments: the words after ``api-exchange``; those of the process if it is None.

    Raises:
        SystemExit: always.
    """
    try:
        command_line()(args=arguments, prog_name="api-exchange")
    except ExchangeError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(FAILED) from None


def command_line() -> typer.Typer:
    """The Typer app with all commands."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(_options)
    for module in iter_modules(commands.__path__, f"{commands.__name__}."):
        app.add_typer(import_module(module.name).app)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"api-exchange {metadata.version('api-exchange-core')} (Python {sys.version.split()[0]})")
        raise typer.Exit


_Version = Annotated[
    bool, typer.Option("--version", is_eager=True, help="Show the version.", callback=_show_version)
]


def _options(*, version: _Version = False) -> None:
    """Make, look at and run an exchange: functions that move data between other people's APIs."""
