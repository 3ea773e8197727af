"""`api-exchange errors`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from api_exchange_core.cli.arguments import By, DatabaseUrl, Json, Tenant

if TYPE_CHECKING:
    from api_exchange_core.containers.store import Store
    from api_exchange_core.domain.names import TenantId
    from api_exchange_core.ports.error_groups import ErrorGroup

app = typer.Typer()
errors = typer.Typer(help="Failed attempts, in groups of the same failure at the same place.")
app.add_typer(errors, name="errors")

_Fingerprint = Annotated[
    str, typer.Argument(metavar="ERROR", help="Its fingerprint, or the beginning of it.", show_default=False)
]


@errors.command("list")
def list_(
    *,
    resolved: Annotated[bool, typer.Option("--all", help="With those that are resolved.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 30,
    tenant: Tenant = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """List what fails, those seen last first."""
    from api_exchange_core.cli.error_table import error_columns
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import listing
    from api_exchange_core.cli.tenants import wanted_tenant

    with opened(database_url) as store:
        groups = store.operations.errors().newest(
            tenant_id=wanted_tenant(tenant), resolved=resolved, limit=limit
        )
    listing(groups, error_columns(), json=json, none="no errors" if resolved else "no unresolved errors")


@errors.command()
def show(
    fingerprint: _Fingerprint, *, tenant: Tenant = None, database_url: DatabaseUrl = None, json: Json = False
) -> None:
    """Tell all of one group: what, where, since when, for whom, and the newest attempt as a sample."""
    from api_exchange_core.cli.error_table import error_facts
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import facts
    from api_exchange_core.cli.tenants import wanted_tenant

    with opened(database_url) as store:
        group = _only(store, fingerprint, wanted_tenant(tenant))
    facts(group, error_facts(group), json=json)


@errors.command()
def resolve(
    fingerprint: _Fingerprint,
    *,
    by: By = None,
    tenant: Tenant = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Say that a failure is mended. If it happens again, it is listed as regressed."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.operator import operator
    from api_exchange_core.cli.show import said
    from api_exchange_core.cli.tenants import wanted_tenant

    with opened(database_url) as store:
        tenant_id = wanted_tenant(tenant)
        group = _only(store, fingerprint, tenant_id)
        resolved = store.operations.errors().resolve(
            group.fingerprint,
            by=operator(by),
            now=store.clock().now(),
            tenant_id=tenant_id,
        )
    for_whom = "1 tenant" if resolved == 1 else f"{resolved:,} tenants"
    text = f"{group.fingerprint} is resolved for {for_whom}" if resolved else "it was resolved before"
    said({"fingerprint": group.fingerprint, "tenants": resolved}, text, json=json)


def _only(store: Store, fingerprint: str, tenant_id: TenantId | None) -> ErrorGroup:
    from api_exchange_core.domain.errors import PermanentError

    groups: Sequence[ErrorGroup] = store.operations.errors().named(fingerprint.lower(), tenant_id=tenant_id)
    if len(groups) == 1:
        return groups[0]
    if not groups:
        raise PermanentError(
            f"there is no error {fingerprint!r}: `api-exchange errors list --all` lists them"
        )
    choices = ", ".join(group.fingerprint for group in groups)
    raise PermanentError(f"{fingerprint!r} begins several errors; write more of it: {choices}")
