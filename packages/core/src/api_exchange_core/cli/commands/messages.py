"""`api-exchange messages`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from api_exchange_core.cli.arguments import DatabaseUrl, Json, Tenant
from api_exchange_core.cli.default_command import ListsByDefault
from api_exchange_core.cli.quantities import length
from api_exchange_core.ports.journal import ProcessingState

if TYPE_CHECKING:
    from api_exchange_core.ports.message_reports import PlaceInList

app = typer.Typer()
messages = typer.Typer(
    cls=ListsByDefault,
    help="What became of messages, and what becomes of those that are held. Alone it lists.",
)
app.add_typer(messages, name="messages")

_Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[MESSAGE]...", help="Messages by id.", show_default=False)
]
_Function = Annotated[str | None, typer.Option(help="Those of this function only.", show_default=False)]
_All = Annotated[bool, typer.Option("--all", help="All that are held.", show_default=False)]


@messages.command("list")
def list_(
    *,
    function: _Function = None,
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
            Column("state", lambda one: coloured(one.state), whole=True),
            Column("attempts", lambda one: f"{one.attempts:,}", right=True),
            Column("waited", lambda one: span(one.waited), right=True, spare=True),
            Column("took", lambda one: span(one.took), right=True, spare=True),
            Column("error", lambda one: one.fingerprint or "", whole=True, spare=True),
            Column("message", lambda one: one.message_id, whole=True),
        ],
        json=json,
        none="no such messages",
    )
    if len(found) > limit:
        remark(f"there are more: --after '{_named(PlaceInList.of(shown[-1]))}'")


@messages.command()
def held(
    *,
    function: _Function = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    tenant: Tenant = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """List messages of exclusive functions that wait for you, the longest first: a run of theirs came to no end."""
    from api_exchange_core.cli.held_messages import held_columns, held_in
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import listing, remark

    with opened(database_url) as store:
        found = held_in(store, tenant=tenant, function=function)
    shown = found[:limit]
    listing(shown, held_columns(), json=json, none="no message is held")
    if len(found) > limit:
        remark(f"there are more; these are the {limit:,} that wait longest (--limit)")


@messages.command()
def release(
    ids: _Ids = None,
    *,
    everything: _All = False,
    function: _Function = None,
    tenant: Tenant = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Let held messages run again; those that were given up and are to be replayed, too.

    Exits with 1 if one of them is not held any more.
    """
    from api_exchange_core.cli.held_messages import decide

    decide(
        "released",
        ids or (),
        everything=everything,
        tenant=tenant,
        function=function,
        url=database_url,
        json=json,
    )


@messages.command()
def give_up(
    ids: _Ids = None,
    *,
    everything: _All = False,
    function: _Function = None,
    tenant: Tenant = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Have held messages dead-lettered. Whoever wants them back replays the letters, which releases them.

    Exits with 1 if one of them is not held any more.
    """
    from api_exchange_core.cli.held_messages import decide

    decide(
        "given_up",
        ids or (),
        everything=everything,
        tenant=tenant,
        function=function,
        url=database_url,
        json=json,
    )


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
