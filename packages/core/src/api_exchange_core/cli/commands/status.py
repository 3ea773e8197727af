"""`api-exchange status`."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Annotated

import typer

from api_exchange_core.cli.arguments import DatabaseUrl, Json, Tenant
from api_exchange_core.cli.quantities import length, share

app = typer.Typer()

_EVERY = timedelta(seconds=2)


@app.command()
def status(
    *,
    since: Annotated[
        timedelta,
        typer.Option(parser=length, metavar="LENGTH", help="How far to look back.", show_default="1h"),
    ] = timedelta(hours=1),
    watch: Annotated[bool, typer.Option("--watch", help="Look again every other second.")] = False,
    min_success: Annotated[
        float,
        typer.Option(parser=share, metavar="SHARE", help="Least share of completed.", show_default="99%"),
    ] = 0.99,
    max_failed_attempts: Annotated[
        float,
        typer.Option(parser=share, metavar="SHARE", help="Largest share of attempts.", show_default="50%"),
    ] = 0.5,
    max_wait: Annotated[
        timedelta,
        typer.Option(parser=length, metavar="LENGTH", help="Longest wait in a queue.", show_default="15m"),
    ] = timedelta(minutes=15),
    max_unsent: Annotated[
        timedelta,
        typer.Option(parser=length, metavar="LENGTH", help="Longest wait in the outbox.", show_default="5m"),
    ] = timedelta(minutes=5),
    max_dead_letters: Annotated[int, typer.Option(min=0, help="Most in a dead-letter queue.")] = 0,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="QUEUE", help="Do not judge this queue; may be repeated.")
    ] = None,
    tenant: Tenant = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Say whether the exchange is healthy and why not, and what its functions do.

    Exits with 1 if it is not, so that it can be a check.
    """
    from api_exchange_core.application.health import Health, Thresholds
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import drawing, redrawn
    from api_exchange_core.cli.status_view import status_view
    from api_exchange_core.cli.tenants import wanted_tenant
    from api_exchange_core.domain.names import QueueName

    if watch and json:
        raise typer.BadParameter("--watch draws for people: ask again and again with --json alone")
    thresholds = Thresholds(
        success_rate=min_success,
        failed_attempts=max_failed_attempts,
        oldest_waiting=max_wait,
        oldest_effect=max_unsent,
        dead_letters=max_dead_letters,
        unwatched=frozenset(QueueName(name) for name in ignore or ()),
    )
    tenant_id = wanted_tenant(tenant)
    with opened(database_url) as store:
        report = store.operations.status()
        if watch:
            redrawn(
                lambda: status_view(report.report(window=since, tenant_id=tenant_id, thresholds=thresholds)),
                every=_EVERY,
                sleep=time.sleep,
            )
            return
        told = report.report(window=since, tenant_id=tenant_id, thresholds=thresholds)
    drawing(told, status_view(told), json=json)
    if told.judgement.health is Health.UNHEALTHY:
        raise typer.Exit(1)
