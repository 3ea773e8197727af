"""Shares as people write them on a command line."""

from __future__ import annotations

import typer


def share(text: str | float) -> float:
    """The share that *text* says, from 0 to 1: ``95%`` or ``0.95``.

    Raises:
        typer.BadParameter: it says none.
    """
    said = str(text).strip()
    try:
        value = float(said.removesuffix("%")) / (100 if said.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"{said!r} is no share: write 95% or 0.95")
    return value
