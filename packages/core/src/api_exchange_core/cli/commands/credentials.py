"""`api-exchange credentials`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api_exchange_core.cli.arguments import By, DatabaseUrl, Json, Tenant, Yes

if TYPE_CHECKING:
    from api_exchange_core.application.administer_credentials import CredentialAccount

app = typer.Typer()
credentials = typer.Typer(help="Accounts and keys of tenants at other people's systems, kept encrypted.")
app.add_typer(credentials, name="credentials")

_Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="Whose they are.", show_default=False)]
_System = Annotated[
    str,
    typer.Argument(metavar="SYSTEM", help="At what, as ApiCredentials names it.", show_default=False),
]
_File = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Where the secret is; else it is read from standard input, or asked for.",
        show_default=False,
    ),
]


@credentials.command("set")
def set_(
    tenant: _Tenant,
    system: _System,
    *,
    file: _File = None,
    by: By = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Use a secret from now on, and accept nothing else. Processes that run notice it within half a minute."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.operator import operator
    from api_exchange_core.cli.secret_input import secret_input
    from api_exchange_core.domain.credentials import system_name
    from api_exchange_core.domain.names import tenant_id

    whose, where = tenant_id(tenant), system_name(system)
    with opened(database_url) as store:
        keep = store.operations.keep_credentials()
        on_version = keep.version(whose, where)
        secret = secret_input(file, what=f"credentials of {tenant} for {system}")
        account = keep.set(whose, where, secret, by=operator(by), on_version=on_version)
    _say(account, "set", json=json)


@credentials.command()
def rotate(
    tenant: _Tenant,
    system: _System,
    *,
    keep_for: Annotated[
        str | None,
        typer.Option(
            "--keep",
            metavar="TIME",
            help="For how long the one before is accepted from others, such as 24h; else until it is retired.",
            show_default=False,
        ),
    ] = None,
    file: _File = None,
    by: By = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Use a secret from now on, and still accept from others what was used until now."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.operator import operator
    from api_exchange_core.cli.quantities import length
    from api_exchange_core.cli.secret_input import secret_input
    from api_exchange_core.domain.credentials import system_name
    from api_exchange_core.domain.names import tenant_id

    whose, where = tenant_id(tenant), system_name(system)
    kept_for = None if keep_for is None else length(keep_for)
    with opened(database_url) as store:
        keep = store.operations.keep_credentials()
        on_version = keep.version(whose, where)
        secret = secret_input(file, what=f"new credentials of {tenant} for {system}")
        account = keep.rotate(whose, where, secret, by=operator(by), on_version=on_version, keep=kept_for)
    _say(account, f"rotated; the one before is accepted {_until(account)}", json=json)


@credentials.command()
def retire(tenant: _Tenant, system: _System, *, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Accept what was used before the last rotation no longer."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import said
    from api_exchange_core.domain.credentials import system_name
    from api_exchange_core.domain.names import tenant_id

    with opened(database_url) as store:
        retired = store.operations.keep_credentials().retire(tenant_id(tenant), system_name(system))
    told = "the previous ones are retired" if retired else "there were no previous ones"
    said({"tenant": tenant, "system": system, "retired": retired}, f"{tenant} {system}: {told}", json=json)


@credentials.command()
def remove(
    tenant: _Tenant,
    system: _System,
    *,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Forget all of a tenant's credentials at a system. Its messages that need them wait until there are new ones."""
    from api_exchange_core.cli.confirm import confirm_by_typing
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import said
    from api_exchange_core.domain.credentials import system_name
    from api_exchange_core.domain.names import tenant_id

    whose, where = tenant_id(tenant), system_name(system)
    with opened(database_url) as store:
        confirm_by_typing(system, what=f"removing the credentials of {tenant} for {system}", yes=yes)
        removed = store.operations.keep_credentials().remove(whose, where)
    told = "removed" if removed else "there were none"
    said({"tenant": tenant, "system": system, "removed": removed}, f"{tenant} {system}: {told}", json=json)


@credentials.command("list")
def list_(*, tenant: Tenant = None, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Say which credentials there are, with which key each is encrypted, and who set it. They are not shown."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import Column, listing, moment
    from api_exchange_core.cli.tenants import wanted_tenant

    with opened(database_url) as store:
        accounts = store.operations.keep_credentials().accounts(wanted_tenant(tenant))
    listing(
        accounts,
        [
            Column("tenant", lambda one: one.tenant_id, whole=True),
            Column("system", lambda one: one.system, whole=True),
            Column("version", lambda one: str(one.version), right=True),
            Column("key", lambda one: one.key or "-"),
            Column("set (UTC)", lambda one: moment(one.set_at)),
            Column("by", lambda one: one.set_by),
            Column("previous", lambda one: "-" if one.previous_key is None else _until(one)),
        ],
        json=json,
        none="no credentials",
    )


@credentials.command()
def reseal(*, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Encrypt credentials and tokens anew that older keys have encrypted; these can go afterwards."""
    from api_exchange_core.cli.app import FAILED
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import facts

    with opened(database_url) as store:
        resealed = store.operations.reseal_credentials().run() + store.operations.reseal_tokens().run()
    lines = [("encrypted anew", f"{resealed.resealed:,}"), ("current already", f"{resealed.current:,}")]
    facts(resealed, [*lines, *(("failed", reason) for reason in resealed.failed)], json=json)
    if resealed.failed:
        raise typer.Exit(FAILED)


@credentials.command("new-key")
def new_key(
    *,
    id_: Annotated[
        str | None,
        typer.Option("--id", help="What to call it; else the date and some chance.", show_default=False),
    ] = None,
) -> None:
    """Make a key to encrypt with and show it, this once: it is kept nowhere. It belongs into API_EXCHANGE_KEYS."""
    from api_exchange_core.adapters.crypto.keyring import new_entry
    from api_exchange_core.adapters.system.clock import SystemClock
    from api_exchange_core.cli.show import remark

    key_id = f"{SystemClock().now():%Y-%m-%d}-{secrets.token_hex(2)}" if id_ is None else id_
    print(new_entry(key_id))
    remark(
        "the first key of all is API_EXCHANGE_KEYS; a further one goes behind the others there and, once every process "
        "knows it, to the front, where the current one stands"
    )


def _say(account: CredentialAccount, done: str, *, json: bool) -> None:
    from api_exchange_core.cli.show import said

    told = f"{account.tenant_id} {account.system}: {done} (version {account.version}, key {account.key})"
    said(account, told, json=json)


def _until(account: CredentialAccount) -> str:
    from api_exchange_core.cli.show import moment

    until = account.previous_until
    return "until retired" if until is None else f"until {moment(until)}"
