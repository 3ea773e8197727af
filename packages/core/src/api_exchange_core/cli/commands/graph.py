"""`api-exchange graph`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from api_exchange_core.cli.arguments import ExchangeTarget

app = typer.Typer()


class Format(StrEnum):
    """How to draw."""

    TEXT = "text"
    MERMAID = "mermaid"


@app.command()
def graph(
    target: ExchangeTarget,
    *,
    form: Annotated[Format, typer.Option("--format", help="How to draw.")] = Format.TEXT,
) -> None:
    """Draw which function sends to which queue.

    Mermaid is for Markdown: GitHub, GitLab and most editors draw it.
    """
    from api_exchange_core.application.topology import Topology
    from api_exchange_core.cli.loading import load_exchange
    from api_exchange_core.cli.mermaid_graph import mermaid_graph
    from api_exchange_core.cli.source.sent_queues import sent_queues
    from api_exchange_core.cli.text_graph import in_ascii, text_graph

    topology = Topology.of(load_exchange(target), read=sent_queues)
    if form is Format.MERMAID:
        typer.echo(mermaid_graph(topology))
    else:
        typer.echo(in_ascii(text_graph(topology), encoding=sys.stdout.encoding))
