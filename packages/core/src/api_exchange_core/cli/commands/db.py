"""`api-exchange db`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from api_exchange_core.cli.arguments import DatabaseUrl

if TYPE_CHECKING:
    from sqlalchemy import Engine

app = typer.Typer()
db = typer.Typer(help="The database: its schema, its roles, and whether it keeps tenants apart.")
app.add_typer(db, name="db")


@db.command()
def upgrade(*, database_url: DatabaseUrl = None) -> None:
    """Bring the schema up to date. Safe to run again, and from several machines at once.

    On PostgreSQL, connect as the login that owns the tables, or is to own them.
    """
    from api_exchange_core.adapters.sql import migrate

    with _engine(database_url) as engine:
        migrate.upgrade(engine)
        typer.echo(f"the schema is at {migrate.current(engine)}")


@db.command()
def doctor(
    *,
    database_url: DatabaseUrl = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say it as JSON.")] = False,
) -> None:
    """Prove that the database keeps tenants apart, with the URL that the functions connect with.

    Tries it with two made-up tenants, and rolls back. Exit code 1 if anything is wrong.
    """
    from api_exchange_core.adapters.sql.doctor import examine
    from api_exchange_core.cli import examination_report

    with _engine(database_url) as engine:
        examination = examine(engine)
    as_text = examination_report.as_json if as_json else examination_report.as_table
    typer.echo(as_text(examination))
    if not examination.ok:
        raise typer.Exit(1)


@db.command()
def roles(
    *,
    database: Annotated[str, typer.Option(help="The database to make.")] = "exchange",
    owner: Annotated[str, typer.Option(help="The login that migrates it.")] = "exchange_owner",
    login: Annotated[str, typer.Option(help="The login that functions connect as.")] = "exchange",
    logins_exist: Annotated[
        bool,
        typer.Option(
            "--logins-exist", help="The cloud has made both from its identities.", show_default=False
        ),
    ] = False,
) -> None:
    """Print the SQL by which an administrator sets up a PostgreSQL database. Connects to none.

    It holds no passwords: set those apart, or let the cloud's own identities log in.
    """
    from api_exchange_core.adapters.sql.roles import set_up

    statements = set_up(database=database, owner=owner, login=login, logins_exist=logins_exist)
    typer.echo("\n".join(f"{statement};" for statement in statements))


@contextmanager
def _engine(database_url: str | None) -> Iterator[Engine]:
    from api_exchange_core.cli.platforms import store_of_platform

    with store_of_platform()(database_url) as store:
        yield store.engine()
