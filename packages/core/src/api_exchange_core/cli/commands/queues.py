"""`api-exchange queues`."""

from __future__ import annotations

import typer

from api_exchange_core.cli.arguments import DatabaseUrl

app = typer.Typer()


@app.command()
def queues(*, database_url: DatabaseUrl = None) -> None:
    """Say how many messages are in each queue, invisible and delayed ones included."""
    from api_exchange_core.adapters.sql import migrate
    from api_exchange_core.adapters.sql.engine import create_engine_for
    from api_exchange_core.adapters.sql.queue import SqlQueue
    from api_exchange_core.adapters.system.clock import SystemClock
    from api_exchange_core.cli.settings import settings_with

    engine = create_engine_for(settings_with(database_url=database_url).database_url.get_secret_value())
    depths = SqlQueue(engine, SystemClock()).depths() if migrate.is_current(engine) else {}
    engine.dispose()
    width = max((len(name) for name in depths), default=0)
    for name in sorted(depths):
        typer.echo(f"{name:<{width}}  {depths[name]:>9,}")
    if not depths:
        typer.echo("no messages")
