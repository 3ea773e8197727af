"""`api-exchange db purge`."""

from __future__ import annotations

from typing import Annotated

import typer

from api_exchange_core.cli.arguments import DatabaseUrl, DryRun, ExchangeTarget, Json
from api_exchange_core.cli.commands.db import db

app = typer.Typer()


@db.command()
def purge(
    target: ExchangeTarget,
    *,
    limit: Annotated[int, typer.Option(min=1, help="End after so many rows.")] = 1_000_000,
    dry_run: DryRun = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Remove what has been kept for as long as the exchange's retention says, in small steps beside the work.

    A journal entry that is gone is no longer known as a duplicate, and no longer traced.
    """
    from api_exchange_core.application.purge import PurgeExpired
    from api_exchange_core.cli.loading import load_exchange
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import facts

    retention = load_exchange(target).retention
    with opened(database_url) as store:
        purged = PurgeExpired(store.retention(), retention, store.clock(), store.sleeper()).run(
            most=limit, dry_run=dry_run
        )
        erase_again = 0 if dry_run else store.operations.erase_tenant().sweep()
    lines = [(str(kept), f"{number:,}") for kept, number in purged.removed.items()]
    if erase_again:
        lines.append(("of erased tenants", f"{erase_again:,}"))
    if purged.more:
        lines.append(("more", "there may be more: run it again"))
    facts(
        {"removed": purged.removed, "of_erased_tenants": erase_again, "more": purged.more},
        lines or [("-", "nothing has expired")],
        json=json,
    )
