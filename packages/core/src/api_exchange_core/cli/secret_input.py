"""Secrets, as operators hand them to a command: never as an argument, which shells and process lists keep and show."""

from __future__ import annotations

import sys
from getpass import getpass
from pathlib import Path

from api_exchange_core.domain.credentials import MAX_CREDENTIALS_BYTES
from api_exchange_core.domain.errors import DeclarationError

_MOST = MAX_CREDENTIALS_BYTES + 2  # room for a line break; what is more is refused by whoever keeps it
_LONGEST_LINE = 4_095  # of a Linux terminal, which cuts off what is more (termios(3), canonical mode)


def secret_input(file: Path | None, *, what: str) -> bytes:
    """The secret in *file*; else on standard input; else, at a terminal, what is typed there without being shown.

    A line break at its end is taken off: editors and `echo` add one.

    Args:
        file: where it is; None if no file was named.
        what: it is, for the prompt.

    Raises:
        DeclarationError: the file cannot be read, or what was typed is so long that the terminal has cut it off.
    """
    if file is not None:
        return _ended(_read(file))
    if sys.stdin.isatty():
        return _typed(what)
    return _ended(sys.stdin.buffer.read(_MOST + 1))


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_MOST + 1)
    except OSError as error:
        raise DeclarationError(f"{str(file)!r} cannot be read: {error.strerror}") from None


def _typed(what: str) -> bytes:
    typed = getpass(f"{what} (not shown; ends with Enter): ").encode("utf-8", "surrogateescape")
    if len(typed) >= _LONGEST_LINE:
        raise DeclarationError(
            f"terminals cut lines off at {_LONGEST_LINE:,} bytes: put it into a file and say --file, or pipe it in"
        )
    return typed


def _ended(secret: bytes) -> bytes:
    # Not a "\r" alone, which no editor adds: a secret of any bytes may end in one.
    return secret[:-2] if secret.endswith(b"\r\n") else secret.removesuffix(b"\n")
