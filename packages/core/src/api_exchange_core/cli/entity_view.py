"""The history of an entity, as people see it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from api_exchange_core.application.entity_history import DatedChange, History
from api_exchange_core.cli.show import Column, moment, table
from api_exchange_core.domain.field_changes import FieldChanges

_SIGNS = (("+", "added", "green"), ("-", "removed", "red"), ("~", "changed", "yellow"))


def entity_view(history: History) -> RenderableType:
    """The entity, and a line a version below."""
    entity = history.entity
    heading = Text.assemble(
        (entity.key.external_id, "bold"),
        f"  {entity.key.canonical_type} of {entity.key.source} for {entity.key.tenant_id}",
        (f"  {entity.id}", "dim cyan"),
    )
    columns = [
        Column[DatedChange]("version", lambda one: f"{one.version.version:,}", right=True),
        Column("recorded (UTC)", lambda one: moment(one.version.created_at), whole=True),
        Column("operation", lambda one: one.version.operation or "-"),
        Column("fields", _fields),
        Column("message", lambda one: one.version.message_id or "-", whole=True),
    ]
    return Group(heading, table(history.versions, columns), Text())


def changes_view(changes: FieldChanges) -> RenderableType:
    """A line a field that differs, and how many do not."""
    lines = [
        Text(f"{sign} {name}", style=style) for sign, kind, style in _SIGNS for name in getattr(changes, kind)
    ]
    return Group(*lines, Text(f"{len(changes.unchanged):,} unchanged", style="dim"))


def _fields(one: DatedChange) -> Text:
    if one.changes is None:
        return Text(f"{len(one.version.field_hashes):,} fields", style="dim")
    told = [
        Text(f"{sign}{name}", style=style)
        for sign, kind, style in _SIGNS
        for name in getattr(one.changes, kind)
    ]
    return Text(" ").join(told) if told else Text("none")
