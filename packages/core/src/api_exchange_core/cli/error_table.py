"""Groups of errors, as people see them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from api_exchange_core.cli.show import Column, moment
from api_exchange_core.cli.states import state
from api_exchange_core.ports.error_groups import ErrorGroup

_LONGEST_REASON = 120
_TENANTS_NAMED = 3


def error_columns() -> Sequence[Column[ErrorGroup]]:
    """A line a group."""
    return [
        Column[ErrorGroup]("error", lambda group: group.fingerprint, whole=True),
        Column("state", lambda group: state(group.state), whole=True),
        Column("count", lambda group: f"{group.count:,}", right=True),
        Column("last seen (UTC)", lambda group: moment(group.last_seen), whole=True),
        Column("function", lambda group: group.function),
        Column("tenants", lambda group: _tenants(group), spare=True),
        Column("what", lambda group: Text.assemble((group.code, "red"), f": {_short(group.reason)}")),
    ]


def error_facts(group: ErrorGroup) -> Sequence[tuple[str, str | Text]]:
    """A line a fact."""
    resolved = (
        []
        if group.resolved_at is None
        else [("resolved", f"{moment(group.resolved_at)} UTC by {group.resolved_by}")]
    )
    return [
        ("error", group.fingerprint),
        ("state", state(group.state)),
        *resolved,
        ("what", Text.assemble((group.code, "red"), f": {group.reason}")),
        ("function", group.function),
        ("operation", group.operation or "-"),
        ("count", f"{group.count:,} failed attempts"),
        ("first seen", f"{moment(group.first_seen)} UTC"),
        ("last seen", f"{moment(group.last_seen)} UTC"),
        ("tenants", ", ".join(group.tenants)),
        ("message", f"{group.message_id}  (api-exchange trace {group.message_id})"),
        ("stack", group.stack or "-"),
    ]


def _tenants(group: ErrorGroup) -> str:
    named = ", ".join(group.tenants[:_TENANTS_NAMED])
    others = len(group.tenants) - _TENANTS_NAMED
    return f"{named} and {others:,} more" if others > 0 else named


def _short(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}…"
