"""`api-exchange messages`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from api_exchange_core.cli.arguments import DatabaseUrl, Json, Tenant
from api_exchange_core.cli.lengths import length
from api_exchange_core.ports.journal import ProcessingState

if TYPE_CHECKING:
    from api_exchange_core.ports.message_reports import PlaceInList

app = typer.Typer()


@app.command()
def messages(
    *,
    function: Annotated[str | None, typer.Option(help="Those of this function only.")] = None,
    state: Annotated[ProcessingState | None, typer.Option(help="Those in this state only.")] = None,
    since: Annotated[
        timedelta | None,
        typer.Option(parser=length, metavar="LENGTH", help="Handled so long ago at most: 1h."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    after: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Go on where a page ended: the place that it named.")
    ] = None,
    tenant: Tenant = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """List what became of messages, those handled last first. `api-exchange trace` tells more of each."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import Column, listing, moment, remark, span
    from api_exchange_core.cli.states import state as coloured
    from api_exchange_core.cli.tenants import wanted_tenant
    from api_exchange_core.domain.names import FunctionName
    from api_exchange_core.ports.message_reports import HandledMessage, MessageFilter, PlaceInList

    with opened(database_url) as store:
        wanted = MessageFilter(
            tenant_id=wanted_tenant(tenant),
            function=None if function is None else FunctionName(function),
            state=state,
            since=None if since is None else store.clock().now() - since,
        )
        # One more than is shown tells whether there is a next page.
        found = store.operations.messages().newest(
            wanted, limit=limit + 1, after=None if after is None else _place(after)
        )
    shown = found[:limit]
    listing(
        shown,
        [
            Column[HandledMessage]("handled (UTC)", lambda one: moment(one.finished_at), whole=True),
            Column("tenant", lambda one: one.tenant_id),
            Column("function", lambda one: one.function),
            Column("state", lambda one: coloured(one.state)),
            Column("attempts", lambda one: f"{one.attempts:,}", right=True),
            Column("waited", lambda one: span(one.waited), right=True),
            Column("took", lambda one: span(one.took), right=True),
            Column("error", lambda one: one.fingerprint or "", whole=True),
            Column("message", lambda one: one.message_id, whole=True),
        ],
        json=json,
        none="no such messages",
    )
    if len(found) > limit:
        remark(f"more: --after '{_named(PlaceInList.of(shown[-1]))}'")


def _named(place: PlaceInList) -> str:
    return f"{place.finished_at.isoformat()}/{place.tenant_id}/{place.function}/{place.message_id}"


def _place(text: str) -> PlaceInList:
    from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
    from api_exchange_core.ports.message_reports import PlaceInList

    try:
        at, tenant, function, message = text.split("/", 3)
        finished_at = datetime.fromisoformat(at).astimezone(UTC)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no place: take it from the end of the page before") from error
    return PlaceInList(finished_at, TenantId(tenant), FunctionName(function), MessageId(message))
