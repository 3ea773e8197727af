"""`api-exchange source`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer

from api_exchange_core.cli.arguments import By, DatabaseUrl, Json, Tenant, Yes
from api_exchange_core.cli.quantities import length, point_in_time

app = typer.Typer()
source = typer.Typer(help="How far the extraction of sources has come, their past, and their beginning.")
app.add_typer(source, name="source")

_TenantId = Annotated[str, typer.Argument(metavar="TENANT", help="Whose.", show_default=False)]
_Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Its name.", show_default=False)]
_When = "a date or time in ISO 8601, UTC if it says no offset"


@source.command()
def status(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[SOURCE]", help="This one and its slices only.", show_default=False),
    ] = None,
    *,
    all_: Annotated[
        bool, typer.Option("--all", help="Slices of backfills that are done as well.", show_default=False)
    ] = False,
    tenant: Tenant = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Say where sources stand: state, progress of the newest run, watermark. Of cursors only a digest is shown."""
    from api_exchange_core.application.sources import SourceStatus
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import Column, listing, moment, span
    from api_exchange_core.cli.states import state
    from api_exchange_core.cli.tenants import wanted_tenant

    with opened(database_url) as store:
        found = store.operations.report_sources().report(
            wanted_tenant(tenant), source=name, finished_slices=all_
        )
    listing(
        found,
        [
            Column[SourceStatus]("tenant", lambda one: one.tenant_id),
            Column("source", lambda one: one.source),
            Column("state", lambda one: state(one.state), whole=True),
            Column("pages", lambda one: "-" if one.run is None else f"{one.run.pages:,}", right=True),
            Column("records", lambda one: "-" if one.run is None else f"{one.run.records:,}", right=True),
            Column("began (UTC)", lambda one: moment(None if one.run is None else one.run.started_at)),
            Column("ended (UTC)", lambda one: moment(None if one.run is None else one.run.finished_at)),
            Column("watermark (UTC)", lambda one: moment(one.watermark)),
            Column("lag", lambda one: span(one.lag), right=True, spare=True),
            Column("cursor", lambda one: one.cursor or "-", spare=True),
            Column("next message", lambda one: one.runner or "-", whole=True, spare=True),
        ],
        json=json,
        none="no source was extracted yet",
    )


@source.command()
def backfill(
    tenant: _TenantId,
    name: _Source,
    *,
    since: Annotated[
        datetime,
        typer.Option("--from", parser=point_in_time, metavar="TIME", help=f"From when on: {_When}."),
    ],
    until: Annotated[
        datetime, typer.Option("--to", parser=point_in_time, metavar="TIME", help="Before when.")
    ],
    slice_: Annotated[
        timedelta,
        typer.Option("--slice", parser=length, metavar="LENGTH", help="How much time a message is for."),
    ] = timedelta(days=1),
    queue: Annotated[
        str | None,
        typer.Option(
            help="Where the source's function reads; where it last ran, if left out.", show_default=False
        ),
    ] = None,
    id_: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="ID",
            help="Give the order of this id again: what was extracted for it is not extracted twice.",
            show_default=False,
        ),
    ] = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Have a part of a source's past extracted, slice by slice. Its watermark and its cursor stay as they are."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import said
    from api_exchange_core.domain.names import tenant_id
    from api_exchange_core.domain.source_name import Window

    with opened(database_url) as store:
        ordered = store.operations.order_backfill().order(
            tenant_id(tenant), name, Window(since, until), length=slice_, queue=queue, id_=id_
        )
    text = (
        f"{len(ordered.slices):,} slices of {name} ordered in queue {ordered.queue}, as backfill {ordered.id}\n"
        f"`api-exchange source status {name}` tells those that are under way"
    )
    said(ordered, text, json=json)


@source.command()
def reset(
    tenant: _TenantId,
    name: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Its name, or a slice as `status` tells it.", show_default=False
        ),
    ],
    *,
    yes: Yes = False,
    by: By = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Put a source back to its beginning. A run that is under way ends without writing anything more."""
    from api_exchange_core.cli.confirm import confirmed
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.operator import operator
    from api_exchange_core.cli.show import said
    from api_exchange_core.domain.names import tenant_id

    whose, who = tenant_id(tenant), operator(by)
    if not yes and not confirmed(f"reset source {name} of {tenant}, so that all of it is extracted again?"):
        raise typer.Abort
    with opened(database_url, log_level="INFO") as store:
        before = store.operations.reset_source().reset(whose, name, by=who)
    said(
        {"tenant": tenant, "source": name, "version": before.version + 1, "was_running": before.is_running},
        f"{name}: the next run of {tenant} begins at the beginning",
        json=json,
    )
