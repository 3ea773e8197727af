"""Encrypting what is kept of secrets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NewType, Protocol

SealedText = NewType("SealedText", str)
"""A secret that is encrypted and says with which key: ``<form>.<key id>.<the rest>``, in ASCII, fit for any column."""


def key_id_of(sealed: SealedText) -> str | None:
    """Id of the key that *sealed* says it was sealed with; None if it is no sealed text."""
    parts = sealed.split(".", 2)
    return parts[1] if len(parts) == 3 else None  # form, key, rest


class Sealer(Protocol):
    """Encrypts and authenticates; what was sealed for one thing cannot be opened as another."""

    @abstractmethod
    def seal(self, secret: bytes, *, bound_to: Sequence[str]) -> SealedText:
        """*secret*, encrypted with the current key; two times the same secret give two texts.

        Args:
            secret: what is to be kept.
            bound_to: what it is for, such as tenant and api; it is not kept in the text.

        Raises:
            DeclarationError: there is no key, or it is none that can be sealed with.
            TransientError: the keys are out of reach.
        """

    @abstractmethod
    def unseal(self, sealed: SealedText, *, bound_to: Sequence[str]) -> bytes:
        """What was sealed for the same thing, with the current key or an older one that is still known.

        Raises:
            DeclarationError: there is no key at all.
            PermanentError: the text was changed, or sealed for something else, or with a key that is not known any
                more; the error names the key, and no part of the secret.
            TransientError: the keys are out of reach.
        """

    @abstractmethod
    def is_current(self, sealed: SealedText) -> bool:
        """Whether *sealed* was sealed with the current key; what was not is to be sealed anew.

        Raises:
            DeclarationError: there is no key.
            PermanentError: it is no sealed text.
            TransientError: the keys are out of reach.
        """
