"""`api-exchange queues`."""

from __future__ import annotations

import typer

from api_exchange_core.cli.arguments import DatabaseUrl, Json

app = typer.Typer()


@app.command()
def queues(*, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Say how many messages are in each queue, invisible and delayed ones included."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import Column, listing

    with opened(database_url) as store:
        depths = store.operations.queues().depths()
    listing(
        [{"queue": name, "messages": depths[name]} for name in sorted(depths)],
        [
            Column("queue", lambda row: str(row["queue"]), whole=True),
            Column("messages", lambda row: f"{row['messages']:,}", right=True),
        ],
        json=json,
        none="no messages",
    )
