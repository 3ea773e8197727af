"""`api-exchange tokens`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from api_exchange_core.cli.arguments import DatabaseUrl, Json, Tenant

if TYPE_CHECKING:
    from api_exchange_core.domain.api_token import TokenKey
    from api_exchange_core.domain.errors import PermanentError
    from api_exchange_core.ports.token_store import TokenRecord, TokenState

app = typer.Typer()
tokens = typer.Typer(help="Tokens for other people's APIs. None is ever shown.")
app.add_typer(tokens, name="tokens")

_Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="Whose.", show_default=False)]
_Api = Annotated[
    str, typer.Argument(metavar="API", help="The application's name for the API.", show_default=False)
]
_Scope = Annotated[str, typer.Option(help="The scope that it was asked for with.")]
_NO_TIME = timedelta(0)


@tokens.command("list")
def list_(*, tenant: Tenant = None, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Say which tokens there are, until when they are valid, and which cannot be renewed.

    Uses are counted by each instance and added up now and then, so the newest are missing.
    """
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import Column, listing
    from api_exchange_core.cli.tenants import wanted_tenant

    with opened(database_url) as store:
        records = store.operations.tokens().all(wanted_tenant(tenant))
    listing(
        [_shown(record) for record in records],
        [
            Column("tenant", lambda one: str(one["tenant"]), whole=True),
            Column("api", lambda one: str(one["api"]), whole=True),
            Column("scope", lambda one: str(one["scope"]) or "-"),
            Column("slot", lambda one: str(one["slot"]), right=True, spare=True),
            Column("generation", lambda one: str(one["generation"]), right=True, spare=True),
            Column("state", lambda one: str(one["state"])),
            Column("failures", lambda one: str(one["failures"]), right=True),
            Column("uses", lambda one: str(one["uses"]), right=True),
            Column("token id", lambda one: str(one["token_id"] or "-"), whole=True),
        ],
        json=json,
        none="no tokens",
    )


@tokens.command()
def invalidate(
    tenant: _Tenant,
    api: _Api,
    *,
    scope: _Scope = "",
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Forget the tokens of an API; the next one is asked for anew. Processes use what they have until it is old."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import said

    key = _key(tenant, api, scope)
    with opened(database_url) as store:
        there = store.token_store()
        states = there.read(key)
        if not states:
            raise _nothing_kept(key)
        current = [state.token_id for state in states.values() if state.token_id is not None]
        count = sum(there.invalidate(key, token_id) for token_id in current)
    said({"invalidated": count}, f"{count} invalidated", json=json)


@tokens.command()
def reset(
    tenant: _Tenant,
    api: _Api,
    *,
    scope: _Scope = "",
    forget_refresh_token: Annotated[
        bool,
        typer.Option(
            "--forget-refresh-token", help="Begin again with the configured one.", show_default=False
        ),
    ] = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Ask the vendor again at once: after credentials were mended, or an exchange was broken off."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import said

    key = _key(tenant, api, scope)
    with opened(database_url) as store:
        count = store.operations.tokens().reset(key, forget_refresh=forget_refresh_token)
    if not count:
        raise _nothing_kept(key)
    said({"reset": count}, f"{count} reset; the next call asks the vendor", json=json)


def _key(tenant: str, api: str, scope: str) -> TokenKey:
    from api_exchange_core.domain.api_token import TokenKey
    from api_exchange_core.domain.names import tenant_id

    return TokenKey(tenant_id(tenant), api, scope)


def _nothing_kept(key: TokenKey) -> PermanentError:
    from api_exchange_core.domain.errors import PermanentError

    return PermanentError(
        f"nothing is kept of {key.tenant_id!r} for {key.api!r} with scope {key.scope!r}: "
        "`api-exchange tokens list` says what is"
    )


def _shown(record: TokenRecord) -> dict[str, object]:
    """What is told of it: whatever is not sealed."""
    key, state = record.key, record.state
    return {
        "tenant": key.tenant_id,
        "api": key.api,
        "scope": key.scope,
        "slot": record.slot,
        "generation": state.generation,
        "token_id": state.token_id,
        "state": _state(state),
        "expires_in": state.expires_in if state.token_id is not None else None,
        "leased_for": state.leased_for,
        "barred_for": state.barred_for,
        "failures": state.failures,
        "has_refresh_token": state.refresh is not None,
        "uses": state.uses,
    }


def _state(state: TokenState) -> str:
    """The most urgent of what can be said of it."""
    from api_exchange_core.cli.show import span

    if state.leased_for is not None and state.leased_for <= _NO_TIME:
        return "exchange broken off"
    if state.barred_for > _NO_TIME:
        return f"left alone for {span(state.barred_for)}"
    if state.leased_for is not None:
        return "being made"
    if state.token_id is None:
        return "none"
    return f"valid for {span(state.expires_in)}" if state.expires_in > _NO_TIME else "expired"
