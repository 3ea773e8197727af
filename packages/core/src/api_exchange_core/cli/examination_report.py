"""What `api-exchange db doctor` says of what it found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from api_exchange_core.adapters.sql.doctor import Check, Examination


def as_table(examination: Examination) -> str:
    """A line for each check, and below those that failed what was found and how to mend it."""
    width = max(len(check.name) for check in examination.checks)
    lines = [line for check in examination.checks for line in _lines(check, width)]
    return "\n".join([*lines, *([examination.note] if examination.note else [])])


def as_json(examination: Examination) -> str:
    """The same for programs."""
    checks = [{**asdict(check), "ok": check.ok} for check in examination.checks]
    said = {
        "database": examination.database,
        "ok": examination.ok,
        "checks": checks,
        "note": examination.note,
    }
    return json.dumps(said, ensure_ascii=False, indent=2)


def _lines(check: Check, width: int) -> Iterator[str]:
    yield f"{check.name:<{width}}  {'ok    ' if check.ok else 'FAILED'}  {check.claim}"
    for wrong in check.wrong:
        yield f"{'':<{width}}  found: {wrong}"
    if not check.ok:
        yield f"{'':<{width}}  mend:  {check.mend}"
