"""States in words and colours: green needs nobody, yellow looks after itself, red waits for people."""

from __future__ import annotations

from enum import StrEnum

from rich.text import Text

_STYLES = {
    "completed": "green",
    "healthy": "bold green",
    "resolved": "green",
    "retrying": "yellow",
    "running": "cyan",
    "idle": "green",
    "overdue": "bold red",
    "open": "yellow",
    "dead": "bold red",
    "unhealthy": "bold red",
    "regressed": "bold red",
    "held": "magenta",
    "given_up": "bold red",
}


def state(value: StrEnum) -> Text:
    """The name of a state, in its colour if it has one."""
    return Text(value.value, style=_STYLES.get(value.value, ""))
