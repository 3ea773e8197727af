"""`api-exchange new`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def new(
    name: Annotated[
        str,
        typer.Argument(
            help="Lower-case letters, digits and hyphens, such as order-sync.", show_default=False
        ),
    ],
    *,
    directory: Annotated[Path, typer.Option(help="Where the project's folder is made.")] = Path(),
) -> None:
    """Write a new project: three processors, the exchange that declares them, and tests.

    Nothing that exists is touched.
    """
    from api_exchange_core.cli.scaffold import package_name, scaffold

    package = package_name(name)
    for path in scaffold(name, directory):
        typer.echo(f"wrote {path}")
    typer.echo(
        f"""
Next:
  cd {shlex.quote(str(directory / name))}
  python -m venv .venv && . .venv/bin/activate
  pip install -e '.[test]'
  pytest
  api-exchange check {package}.exchange:exchange
  api-exchange run {package}.exchange:exchange"""
    )
