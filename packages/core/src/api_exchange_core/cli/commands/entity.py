"""`api-exchange entity`."""

from __future__ import annotations

from typing import Annotated

import typer

from api_exchange_core.cli.arguments import DatabaseUrl, Json, Tenant

app = typer.Typer()
entity = typer.Typer(help="Entities and their versions. Content is never stored, only its hashes.")
app.add_typer(entity, name="entity")

_Entity = Annotated[
    str,
    typer.Argument(metavar="ENTITY", help="Its id, or the id that its source gave it.", show_default=False),
]


@entity.command()
def find(
    external_id: Annotated[
        str, typer.Option("--external-id", help="The id that the source gave it.", show_default=False)
    ],
    *,
    type_: Annotated[str | None, typer.Option("--type", help="Of this canonical type only.")] = None,
    source: Annotated[str | None, typer.Option(help="Of this source only.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 100,
    tenant: Tenant = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """List the entities with an external id."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import Column, listing, moment
    from api_exchange_core.cli.tenants import wanted_tenant
    from api_exchange_core.domain.entity import EntityHead
    from api_exchange_core.ports.entity_reports import EntityFilter

    wanted = EntityFilter(
        external_id=external_id, tenant_id=wanted_tenant(tenant), canonical_type=type_, source=source
    )
    with opened(database_url) as store:
        heads = store.operations.entities().with_external_id(wanted, limit=limit)
    listing(
        heads,
        [
            Column[EntityHead]("tenant", lambda head: head.key.tenant_id),
            Column("type", lambda head: head.key.canonical_type),
            Column("source", lambda head: head.key.source),
            Column("external id", lambda head: head.key.external_id),
            Column("version", lambda head: f"{head.version:,}", right=True),
            Column("updated (UTC)", lambda head: moment(head.updated_at), whole=True),
            Column("id", lambda head: head.id, whole=True),
        ],
        json=json,
        none="no such entity",
    )


@entity.command()
def history(
    id_: _Entity,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many versions of each.")] = 20,
    tenant: Tenant = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Tell an entity's versions, the newest first: when, by what, and which top-level fields changed.

    Exits with 1 if there is no such entity.
    """
    from rich.console import Group

    from api_exchange_core.cli.entity_view import entity_view
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import drawing, remark
    from api_exchange_core.cli.tenants import wanted_tenant

    with opened(database_url) as store:
        histories = store.operations.entity_history().histories(
            id_, tenant_id=wanted_tenant(tenant), limit=limit
        )
    if histories or json:
        drawing(list(histories), Group(*(entity_view(one) for one in histories)), json=json)
    if not histories:
        remark(f"there is no entity with the id or external id {id_!r}")
        raise typer.Exit(1)


@entity.command()
def diff(
    id_: _Entity,
    first: Annotated[int, typer.Argument(metavar="V1", min=1, help="A version.", show_default=False)],
    second: Annotated[int, typer.Argument(metavar="V2", min=1, help="Another one.", show_default=False)],
    *,
    tenant: Tenant = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Name the top-level fields in which two versions differ."""
    from api_exchange_core.cli.entity_view import changes_view
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import drawing
    from api_exchange_core.cli.tenants import wanted_tenant

    with opened(database_url) as store:
        changes = store.operations.entity_history().difference(
            id_, first, second, tenant_id=wanted_tenant(tenant)
        )
    drawing(changes, changes_view(changes), json=json)
