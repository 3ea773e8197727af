"""Who gives a command."""

from __future__ import annotations

import getpass


def operator(named: str | None) -> str:
    """The name that was given, or that of the account that the command runs under."""
    if named is not None:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as containers have
        return "unknown"
