"""`api-exchange trace`."""

from __future__ import annotations

from typing import Annotated

import typer

from api_exchange_core.cli.arguments import DatabaseUrl, Json, Tenant

app = typer.Typer()


@app.command()
def trace(
    id_: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="A correlation id, a message's id, an entity's id, or the external id of an entity.",
            show_default=False,
        ),
    ],
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Show each of many messages that went the same way.")
    ] = False,
    tenant: Tenant = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Draw the way of a request through the functions: what became of it, when, and why not.

    A message is seen once a function was called with it; those that only wait are counted by `api-exchange status`.
    Exits with 1 if nothing is found.
    """
    from rich.console import Group

    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import drawing, remark
    from api_exchange_core.cli.tenants import wanted_tenant
    from api_exchange_core.cli.trace_tree import trace_tree

    with opened(database_url) as store:
        traces = store.operations.trace().trace(id_, tenant_id=wanted_tenant(tenant))
    trees = [trace_tree(one, everything=everything) for one in traces]
    if traces or json:
        drawing(list(traces), Group(*trees), json=json)
    if not traces:
        remark(
            f"no function was called with a message of {id_!r}, nor one about it: it may wait in a queue still "
            "(api-exchange status), or be another tenant's or database's"
        )
        raise typer.Exit(1)
