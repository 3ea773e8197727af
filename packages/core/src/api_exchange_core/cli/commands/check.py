"""`api-exchange check`."""

from __future__ import annotations

from typing import Annotated

import typer

from api_exchange_core.cli.arguments import ExchangeTarget

app = typer.Typer()


@app.command()
def check(
    target: ExchangeTarget,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail the check too.")] = False,
) -> None:
    """Say what is wrong with an exchange before it runs.

    Makes every processor and runs none. Exits with 1 if there are errors, and with 2 if the exchange cannot be
    loaded.
    """
    from api_exchange_core.application.topology import Topology
    from api_exchange_core.cli.loading import load_exchange
    from api_exchange_core.cli.report import fails, report
    from api_exchange_core.cli.source.sent_queues import sent_queues

    topology = Topology.of(load_exchange(target), read=sent_queues)
    findings = topology.findings()
    typer.echo(report(topology, findings))
    if fails(findings, strict=strict):
        raise typer.Exit(1)
