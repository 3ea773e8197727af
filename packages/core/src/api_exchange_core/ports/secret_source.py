"""Where secrets come from: keys to seal with, and whatever else no table of ours may hold."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class SecretSource(Protocol):
    """Gives secrets by name. Neither a name nor an error of it ever holds a part of a secret."""

    @abstractmethod
    def secret(self, name: str) -> bytes:
        """The secret that is kept under *name*, as it is now.

        Raises:
            LookupError: there is none, or this process may not read it; the text says under which name and where it
                was looked for.
            TransientError: nobody could be asked.
        """
