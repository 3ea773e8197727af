"""Lengths of time as people write them on a command line."""

from __future__ import annotations

import re
from datetime import timedelta

import typer

_LENGTH = re.compile(r"(\d+(?:\.\d+)?) *(s|m|min|h|d)")
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_LONGEST = timedelta(days=3650)


def length(text: str | timedelta) -> timedelta:
    """The length of time that *text* says: a number and one of ``s``, ``m``, ``h`` and ``d``.

    Raises:
        typer.BadParameter: it says none, or more than ten years.
    """
    if isinstance(text, timedelta):  # the default of an option
        return text
    said = _LENGTH.fullmatch(text.strip().lower())
    if said is None:
        raise typer.BadParameter(f"{text!r} is no length of time: write 90s, 15m, 1h or 7d")
    amount, unit = said.groups()
    if float(amount) > _LONGEST / _UNITS[unit]:
        raise typer.BadParameter(f"{text!r} is more than ten years")
    return float(amount) * _UNITS[unit]
