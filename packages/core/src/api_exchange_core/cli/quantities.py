"""Lengths of time and rates, as people type them."""

from __future__ import annotations

import re
from datetime import timedelta

import typer

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LENGTH = re.compile(r"(?:\d{1,9}[smhdw])+")
_PART = re.compile(r"(\d+)([smhdw])")
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(?:/([smh]))?")


def length(text: str) -> timedelta:
    """``90s``, ``15m``, ``2h``, ``3d``, ``1w``, ``1h30m``.

    Raises:
        BadParameter: it is none of the kind.
    """
    if not _LENGTH.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is no length of time: write 90s, 15m, 2h, 3d, 1w or 1h30m")
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


def rate(text: str) -> float:
    """So many a second: ``50/s``, ``50``, ``600/m``, ``1000/h``.

    Raises:
        BadParameter: it is none of the kind.
    """
    read = _RATE.fullmatch(text)
    if read is None or float(read[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no rate: write 50/s, 600/m or 1000/h")
    return float(read[1]) / _UNITS[read[2] or "s"]
