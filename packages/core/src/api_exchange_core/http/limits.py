"""How long and how often a client tries, and how much of an answer it reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from api_exchange_core.domain.errors import DeclarationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may cost. There is no way to wait for ever.

    Args:
        connect: until there is a connection.
        read: between two parts of an answer, and of what is sent.
        whole: until all of an answer has come.
        tries: how often a request is sent at most, where that is safe.
        patience: how long a request waits in all, between its tries and for the API's limits. What takes longer is for
            the function's queue: `DeferError` says how long.
        first_pause: before the second try, at most; before each further one twice as long.
        max_bytes: of an answer, unpacked.

    Raises:
        DeclarationError: a limit that is none.
    """

    connect: timedelta = timedelta(seconds=3)
    read: timedelta = timedelta(seconds=10)
    whole: timedelta = timedelta(seconds=60)
    tries: int = 3
    patience: timedelta = timedelta(seconds=5)
    first_pause: timedelta = timedelta(milliseconds=200)
    max_bytes: int = 16 * 1024 * 1024

    def __post_init__(self) -> None:
        for name in ("connect", "read", "whole", "first_pause"):
            if getattr(self, name) <= timedelta(0):
                raise DeclarationError(
                    f"Limits({name}=...) must be more than no time, not {getattr(self, name)}"
                )
        if self.patience < timedelta(0) or self.tries < 1 or self.max_bytes < 1:
            raise DeclarationError("Limits: patience is not negative, and tries and max_bytes are at least 1")
