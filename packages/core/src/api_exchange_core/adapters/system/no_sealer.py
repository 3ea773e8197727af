"""Where there are no keys."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.ports.sealer import SealedText, Sealer


class NoSealer(Sealer):
    """Seals nothing, so that nothing that has to be sealed is kept at all."""

    @override
    def seal(self, secret: bytes, *, bound_to: Sequence[str]) -> SealedText:
        raise _no_key()

    @override
    def unseal(self, sealed: SealedText, *, bound_to: Sequence[str]) -> bytes:
        raise _no_key()

    @override
    def is_current(self, sealed: SealedText) -> bool:
        return False


def _no_key() -> DeclarationError:
    return DeclarationError(
        "there is no key to seal secrets with, and they are not kept without: hand a Sealer to the container"
    )
