"""`api-exchange entity erase`."""

from __future__ import annotations

from typing import Annotated

import typer

from api_exchange_core.cli.arguments import By, DatabaseUrl, DryRun, Json, Yes
from api_exchange_core.cli.commands.entity import entity

app = typer.Typer()


@entity.command()
def erase(
    entity_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The entity's id.", show_default=False)
    ] = None,
    *,
    tenant: Annotated[str, typer.Option(help="Whose entity it is.", show_default=False)],
    external_id: Annotated[
        str | None,
        typer.Option(help="In place of the id: erase all entities that it names.", show_default=False),
    ] = None,
    canonical_type: Annotated[
        str | None, typer.Option("--type", help="With --external-id: of this type only.", show_default=False)
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="With --external-id: from this source only.", show_default=False)
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    by: By = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Remove an entity, its versions, and the messages, journal entries and errors about it, for good.

    Keep the receipt: with it and the id it can be shown which record is of which entity; nothing else can show it.
    """
    from api_exchange_core.cli.confirm import confirm_by_typing
    from api_exchange_core.cli.entity_subjects import subjects_named
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.operator import operator
    from api_exchange_core.cli.show import Column, listing
    from api_exchange_core.domain.names import tenant_id

    with opened(database_url) as store:
        eraser = store.eraser()
        subjects = subjects_named(
            eraser,
            tenant_id(tenant),
            entity_id=entity_id,
            external_id=external_id,
            canonical_type=canonical_type,
            source=source,
        )
        if dry_run:
            held = [(subject, eraser.held(subject)) for subject in subjects]
            listing(
                [{"entity": subject.entity_id, "held": counts} for subject, counts in held],
                [
                    Column("entity", lambda row: str(row["entity"]), whole=True),
                    Column("held", lambda row: _counts(row["held"])),
                ],
                json=json,
                none="nothing is held",
            )
            return
        word = str(subjects[0].entity_id) if external_id is None else external_id
        confirm_by_typing(
            word,
            what=f"erasing {'an entity' if len(subjects) == 1 else f'{len(subjects):,} entities'} of tenant {tenant}",
            yes=yes,
        )
        use_case = store.operations.erase_entity()
        done = [(subject, *use_case.run(subject, requested_by=operator(by))) for subject in subjects]
    listing(
        [
            {
                "entity": subject.entity_id,
                "record": erasure.id,
                "receipt": receipt,
                "removed": erasure.removed,
            }
            for subject, erasure, receipt in done
        ],
        [
            Column("entity", lambda row: str(row["entity"]), whole=True),
            Column("record", lambda row: str(row["record"]), whole=True),
            Column("receipt", lambda row: str(row["receipt"]), whole=True),
            Column("removed", lambda row: _counts(row["removed"])),
        ],
        json=json,
        none="nothing was erased",
    )


def _counts(counts: object) -> str:
    items = counts.items() if isinstance(counts, dict) else ()
    return ", ".join(f"{number:,} {table}" for table, number in items) or "nothing"
