"""Times, lengths of time, rates and shares as people write them on a command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_LENGTH = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})? *(?:s|min|m|h|d|w) *)+")
_PART = re.compile(r"(\d+(?:\.\d+)?) *(s|min|m|h|d|w)")
_LONGEST = timedelta(days=3650)
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(?:/([smh]))?")


def length(text: str | timedelta) -> timedelta:
    """The length of time that *text* says: ``90s``, ``15m``, ``1.5h``, ``3d``, ``1w``, ``1h30m``.

    Raises:
        BadParameter: it says none, or more than ten years.
    """
    if isinstance(text, timedelta):  # the default of an option
        return text
    said = text.strip().lower()
    if not _LENGTH.fullmatch(said):
        raise typer.BadParameter(f"{text!r} is no length of time: write 90s, 15m, 2h, 3d, 1w or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(said))
    if seconds > _LONGEST.total_seconds():
        raise typer.BadParameter(f"{text!r} is more than ten years")
    return timedelta(seconds=seconds)


def point_in_time(text: str | datetime) -> datetime:
    """The time that *text* says: ``2026-01-31``, ``2026-01-31T08:00``, ``2026-01-31T08:00+01:00``; UTC unless it says.

    Raises:
        BadParameter: it says none.
    """
    if isinstance(text, datetime):  # the default of an option
        return text
    try:
        said = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time: write 2026-01-31, 2026-01-31T08:00 or 2026-01-31T08:00+01:00"
        ) from None
    return said.replace(tzinfo=UTC) if said.utcoffset() is None else said.astimezone(UTC)


def rate(text: str) -> float:
    """So many a second: ``50/s``, ``50``, ``600/m``, ``1000/h``.

    Raises:
        BadParameter: it is none of the kind.
    """
    read = _RATE.fullmatch(text)
    if read is None or float(read[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no rate: write 50/s, 600/m or 1000/h")
    return float(read[1]) / _UNITS[read[2] or "s"]


def share(text: str | float) -> float:
    """The share that *text* says, from 0 to 1: ``95%`` or ``0.95``.

    Raises:
        BadParameter: it says none.
    """
    said = str(text).strip()
    try:
        value = float(said.removesuffix("%")) / (100 if said.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"{said!r} is no share: write 95% or 0.95")
    return value
