"""`api-exchange keys`."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from api_exchange_core.cli.arguments import DatabaseUrl, ExchangeTarget

app = typer.Typer()
keys = typer.Typer(help="API keys, by which HTTP functions know their tenant.")
app.add_typer(keys, name="keys")


@keys.command()
def issue(
    target: ExchangeTarget,
    tenant: Annotated[str, typer.Argument(help="Whose key it is.", show_default=False)],
    *,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a new API key for a tenant and show it, this once: only its hash is kept.

    Keys that were issued before stay good.
    """
    from api_exchange_core.cli.loading import load_exchange
    from api_exchange_core.cli.settings import settings_with
    from api_exchange_core.containers.local import prepared_container
    from api_exchange_core.domain.api_key import api_key_hash
    from api_exchange_core.domain.names import tenant_id

    container = prepared_container(load_exchange(target), settings_with(database_url=database_url))
    key = f"axk_{secrets.token_urlsafe(32)}"
    try:
        container.tenants().add_api_key(
            tenant_id(tenant), key_hash=api_key_hash(key), now=container.clock().now()
        )
    finally:
        container.engine().dispose()
    typer.echo(key)
