"""`api-exchange db`."""

from __future__ import annotations

import typer

from api_exchange_core.cli.arguments import DatabaseUrl

app = typer.Typer()
db = typer.Typer(help="The database and its schema.")
app.add_typer(db, name="db")


@db.command()
def upgrade(*, database_url: DatabaseUrl = None) -> None:
    """Bring the schema up to date. Safe to run again, and from several machines at once."""
    from api_exchange_core.adapters.sql import migrate
    from api_exchange_core.adapters.sql.engine import create_engine_for
    from api_exchange_core.cli.settings import settings_with

    engine = create_engine_for(settings_with(database_url=database_url).database_url.get_secret_value())
    try:
        migrate.upgrade(engine)
        typer.echo(f"the schema is at {migrate.current(engine)}")
    finally:
        engine.dispose()
