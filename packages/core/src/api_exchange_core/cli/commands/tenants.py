"""`api-exchange tenants`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api_exchange_core.cli.arguments import By, DatabaseUrl, DryRun, Json, Yes

if TYPE_CHECKING:
    from api_exchange_core.domain.erasure import Erasure
    from api_exchange_core.domain.tenant import Tenant

app = typer.Typer()
tenants = typer.Typer(help="The customers on whose behalf everything happens.")
app.add_typer(tenants, name="tenants")

_Id = Annotated[str, typer.Argument(metavar="ID", help="Which tenant.", show_default=False)]
_Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Which tenants.", show_default=False)]


@tenants.command()
def add(ids: _Ids, *, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Make tenants known; those that are known stay as they are."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import said
    from api_exchange_core.domain.names import tenant_id

    with opened(database_url) as store:
        added = store.operations.add_tenants().add([tenant_id(id_) for id_ in ids])
    named = list(dict.fromkeys(ids))
    lines = [f"{id_}: {'added' if id_ in added else 'was known already'}" for id_ in named]
    said([{"tenant": id_, "added": id_ in added} for id_ in named], "\n".join(lines), json=json)


@tenants.command("list")
def list_(*, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Say which tenants there are; of erased ones the id is left."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import Column, listing, moment

    with opened(database_url) as store:
        accounts = store.tenants().accounts()
    listing(
        accounts,
        [
            Column("tenant", lambda account: account.tenant.id, whole=True),
            Column("state", lambda account: _state(account.tenant)),
            Column("since (UTC)", lambda account: moment(account.created_at)),
            Column("keys", lambda account: str(account.api_keys), right=True),
            Column("configured", lambda account: ", ".join(account.tenant.config) or "-"),
        ],
        json=json,
        none="no tenants",
    )


@tenants.command()
def disable(id_: _Id, *, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Stop working for a tenant. Its data stays; messages that come for it end as dead letters."""
    _set_enabled(id_, database_url, enabled=False)
    _say_enabled(
        id_, f"{id_}: disabled; processes that run notice it within seconds", enabled=False, json=json
    )


@tenants.command()
def enable(id_: _Id, *, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Work for a tenant again. What became a dead letter meanwhile stays one until it is replayed."""
    _set_enabled(id_, database_url, enabled=True)
    _say_enabled(id_, f"{id_}: enabled", enabled=True, json=json)


@tenants.command()
def config(
    id_: _Id,
    *,
    exchange: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:EXCHANGE",
            help="The exchange whose model the values must fit; needed to change them.",
            show_default=False,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Set a value: JSON, or else a text as it stands. May be repeated.",
            show_default=False,
        ),
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Go back to the default. May be repeated.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A JSON object that takes the place of all values.",
            show_default=False,
        ),
    ] = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Show what is configured for a tenant, or change it. Values are checked before any is stored."""
    from api_exchange_core.application.administer_tenants import ConfigureTenant
    from api_exchange_core.cli.config_values import from_file, from_words
    from api_exchange_core.cli.loading import load_exchange
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import facts
    from api_exchange_core.domain.errors import DeclarationError, TenantError
    from api_exchange_core.domain.names import tenant_id

    tenant = tenant_id(id_)
    changes = set_ is not None or unset is not None or file is not None
    if changes and exchange is None:
        raise DeclarationError(
            "values that do not fit hold all messages of a tenant up, so they are checked first: say which exchange, "
            "such as --exchange shop.exchange"
        )
    with opened(database_url) as store:
        if changes and exchange is not None:
            configure = ConfigureTenant(store.tenants(), load_exchange(exchange).tenant_config)
            if file is not None:
                configure.replace(tenant, from_file(file))
            if set_ is not None or unset is not None:
                configure.change(tenant, set_=from_words(set_ or []), unset=unset or ())
        found = store.tenants().get(tenant)
    if found is None:
        raise TenantError(f"tenant {id_!r} is unknown: add it first")
    lines = [(name, _shown(value)) for name, value in sorted(found.config.items())]
    facts(dict(found.config), lines or [("-", "nothing is set: the model's defaults hold")], json=json)


@tenants.command()
def erase(
    id_: _Id,
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
    by: By = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Remove all that is held of a disabled tenant, for good. Its id and a record stay.

    If it is broken off, the same command goes on with it.
    """
    from api_exchange_core.cli.confirm import confirm_by_typing
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.operator import operator
    from api_exchange_core.cli.show import facts, progress
    from api_exchange_core.domain.erasure import Subject
    from api_exchange_core.domain.names import tenant_id

    tenant = tenant_id(id_)
    with opened(database_url) as store:
        use_case = store.operations.erase_tenant()
        use_case.check(tenant)
        held = store.eraser().held(Subject(tenant))
        if dry_run:
            facts(held, [(table, f"{number:,}") for table, number in held.items()], json=json)
            return
        confirm_by_typing(id_, what=f"erasing tenant {id_}", yes=yes)
        with progress(f"erasing {id_}", sum(held.values())) as removed:
            erasure = use_case.run(tenant, requested_by=operator(by), removed=removed)
    facts(erasure, _lines(erasure), json=json)


@tenants.command()
def erasures(*, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """List the records of what was erased."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import Column, listing, moment

    with opened(database_url) as store:
        records = store.eraser().records()
    listing(
        records,
        [
            Column("record", lambda one: one.id, whole=True),
            Column("tenant", lambda one: one.tenant_id, whole=True),
            Column("what", lambda one: "all" if one.entity_proof is None else f"entity {one.entity_proof}"),
            Column("by", lambda one: one.requested_by),
            Column("started (UTC)", lambda one: moment(one.started_at)),
            Column("finished (UTC)", lambda one: moment(one.finished_at)),
            Column("removed", lambda one: f"{sum(one.removed.values()):,}", right=True),
        ],
        json=json,
        none="nothing was erased",
    )


def _lines(erasure: Erasure) -> list[tuple[str, str]]:
    from api_exchange_core.cli.show import moment

    removed = [(f"  {what}", f"{number:,}") for what, number in erasure.removed.items()]
    return [
        ("record", erasure.id),
        ("tenant", erasure.tenant_id),
        ("by", erasure.requested_by),
        ("started", moment(erasure.started_at)),
        ("finished", moment(erasure.finished_at)),
        ("removed", f"{sum(erasure.removed.values()):,}"),
        *removed,
    ]


def _set_enabled(id_: str, database_url: str | None, *, enabled: bool) -> None:
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.domain.names import tenant_id

    with opened(database_url) as store:
        store.tenants().set_enabled(tenant_id(id_), enabled=enabled)


def _say_enabled(id_: str, text: str, *, enabled: bool, json: bool) -> None:
    from api_exchange_core.cli.show import said

    said({"tenant": id_, "enabled": enabled}, text, json=json)


def _state(tenant: Tenant) -> str:
    from api_exchange_core.cli.show import moment

    if tenant.erased_at is not None:
        return f"erased {moment(tenant.erased_at)}"
    return "enabled" if tenant.enabled else "disabled"


def _shown(value: object) -> str:
    from pydantic_core import to_json

    return to_json(value).decode()
