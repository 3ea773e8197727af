"""Who gives a command."""

from __future__ import annotations

import getpass
import socket

from api_exchange_core.domain.errors import DeclarationError


def operator(named: str | None) -> str:
    """The name that was given, or the account that the command runs under, at this machine.

    Raises:
        DeclarationError: the account has no name, as in some containers.
    """
    if named is not None:
        return named
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        raise DeclarationError("this system has no name for you: say --by NAME") from None
