"""Held messages of exclusive functions, and what an operator decides about them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Literal

import typer

from api_exchange_core.cli.opened import opened
from api_exchange_core.cli.show import Column, listing, moment, remark
from api_exchange_core.cli.tenants import wanted_tenant
from api_exchange_core.containers.store import Store
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.names import FunctionName
from api_exchange_core.ports.journal import ProcessingState
from api_exchange_core.ports.message_reports import HandledMessage, MessageFilter, PlaceInList

Decision = Literal["released", "given_up"]

_PAGE = 1_000
_TO_DECIDE = {
    "released": (ProcessingState.HELD, ProcessingState.GIVEN_UP),
    "given_up": (ProcessingState.HELD,),
}
_WHAT_NOW = {
    "released": "they run again at their next look, within a minute; replay those that are dead letters by now",
    "given_up": "they become dead letters at their next look, within a minute",
}


def held_in(
    store: Store,
    *,
    tenant: str | None,
    function: str | None,
    state: ProcessingState = ProcessingState.HELD,
) -> Sequence[HandledMessage]:
    """The messages that are held, or in another *state*, the longest first."""
    wanted = MessageFilter(
        tenant_id=wanted_tenant(tenant),
        function=None if function is None else FunctionName(function),
        state=state,
    )
    found: list[HandledMessage] = []
    after: PlaceInList | None = None
    while True:
        page = store.operations.messages().newest(wanted, limit=_PAGE, after=after)
        found += page
        if len(page) < _PAGE:
            return sorted(found, key=attrgetter("started_at", "message_id"))
        after = PlaceInList.of(page[-1])


def held_columns() -> Sequence[Column[HandledMessage]]:
    """A line a message."""
    return [
        Column("run began (UTC)", lambda one: moment(one.started_at), whole=True),
        Column("tenant", lambda one: one.tenant_id),
        Column("function", lambda one: one.function),
        Column("attempts", lambda one: f"{one.attempts:,}", right=True),
        Column("message", lambda one: one.message_id, whole=True),
    ]


def decide(
    decision: Decision,
    ids: Collection[str],
    *,
    everything: bool,
    tenant: str | None,
    function: str | None,
    url: str | None,
    json: bool,
) -> None:
    """Do it, and answer with the messages for which it was done.

    Args:
        decision: what becomes of them.
        ids: of the messages that are meant.
        everything: in place of *ids*: all that are held.
        tenant: whose alone.
        function: of which function alone.
        url: of the database.
        json: for programs.

    Raises:
        DeclarationError: both or neither of *ids* and *everything*.
        Exit: with 1 if one of *ids* was not there to be decided on.
    """
    if bool(ids) == everything:
        raise DeclarationError(
            "which messages? Name them, as `api-exchange messages held` does, or say --all; one of the two"
        )
    states = (ProcessingState.HELD,) if everything else _TO_DECIDE[decision]
    with opened(url) as store:
        chosen = [
            message
            for state in states
            for message in held_in(store, tenant=tenant, function=function, state=state)
            if everything or message.message_id in ids
        ]
        decided = _decided(store, decision, chosen)
    listing(
        [
            {"tenant": one.tenant_id, "function": one.function, "message": one.message_id, "state": decision}
            for one in decided
        ],
        [
            Column("tenant", lambda row: row["tenant"]),
            Column("function", lambda row: row["function"]),
            Column("message", lambda row: row["message"], whole=True),
            Column("now", lambda row: row["state"].replace("_", " ")),
        ],
        json=json,
        none="no message is held",
    )
    if decided:
        remark(_WHAT_NOW[decision])
    missing = set(ids) - {one.message_id for one in decided}
    if missing:
        remark(f"not held: {', '.join(sorted(missing))}")
        raise typer.Exit(1)


def _decided(
    store: Store, decision: Decision, messages: Sequence[HandledMessage]
) -> Sequence[HandledMessage]:
    use_case = store.operations.held_messages()
    decide_on = use_case.release if decision == "released" else use_case.give_up
    place = attrgetter("tenant_id", "function")
    done: list[HandledMessage] = []
    for (tenant_id, function), alike in groupby(sorted(messages, key=place), key=place):
        these = list(alike)
        taken = decide_on(tenant_id, function, [one.message_id for one in these])
        done += [one for one in these if one.message_id in taken]
    return done
