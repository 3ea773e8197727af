"""Sealing with nothing but the standard library, which protects nothing: keys follow from their names."""

from __future__ import annotations

import hmac
import itertools
from base64 import b32decode, b32encode
from collections.abc import Sequence
from hashlib import sha256, shake_256
from typing import Final

from typing_extensions import override

from api_exchange_core.domain.errors import DeclarationError, PermanentError
from api_exchange_core.ports.sealer import SealedText, Sealer

_FORM: Final = "memory"
_NONCE: Final = 10
_TAG: Final = 10


class InMemorySealer(Sealer):
    """Seals as a real one does, for tests: what was changed, or is for something else, does not open.

    Args:
        keys: ids of the keys, the current one first.
    """

    def __init__(self, keys: Sequence[str] = ("test",)) -> None:
        self._keys = tuple(keys)
        self._sealed = itertools.count()

    def use(self, keys: Sequence[str]) -> None:
        """From now on know these keys and no others; the first one is the current one."""
        self._keys = tuple(keys)

    @override
    def seal(self, secret: bytes, *, bound_to: Sequence[str]) -> SealedText:
        key_id = self._known()[0]
        nonce = next(self._sealed).to_bytes(_NONCE, "big")
        hidden = _masked(secret, key_id, nonce)
        return SealedText(
            f"{_FORM}.{key_id}.{_encoded(nonce + _tag(hidden, key_id, nonce, bound_to) + hidden)}"
        )

    @override
    def unseal(self, sealed: SealedText, *, bound_to: Sequence[str]) -> bytes:
        key_id, data = _parts(sealed)
        if key_id not in self._known():
            raise PermanentError(f"the sealer in memory has no key {key_id!r}")
        nonce, tag, hidden = data[:_NONCE], data[_NONCE : _NONCE + _TAG], data[_NONCE + _TAG :]
        if not hmac.compare_digest(tag, _tag(hidden, key_id, nonce, bound_to)):
            raise PermanentError(
                f"a text that names key {key_id!r} cannot be unsealed: it was changed, or sealed for something else"
            )
        return _masked(hidden, key_id, nonce)

    @override
    def is_current(self, sealed: SealedText) -> bool:
        return _parts(sealed)[0] == self._known()[0]

    def _known(self) -> Sequence[str]:
        if not self._keys:
            raise DeclarationError("the sealer in memory was left without a key")
        return self._keys


def _masked(data: bytes, key_id: str, nonce: bytes) -> bytes:
    mask = shake_256(key_id.encode() + nonce).digest(len(data))
    return bytes(one ^ other for one, other in zip(data, mask, strict=True))


def _tag(hidden: bytes, key_id: str, nonce: bytes, bound_to: Sequence[str]) -> bytes:
    said = repr((nonce, tuple(bound_to), hidden)).encode()
    return hmac.digest(key_id.encode(), said, sha256)[:_TAG]


def _encoded(data: bytes) -> str:
    return b32encode(data).decode().rstrip("=")


def _parts(sealed: str) -> tuple[str, bytes]:
    form, _, rest = sealed.partition(".")
    key_id, _, encoded = rest.partition(".")
    try:
        data = b32decode(encoded + "=" * (-len(encoded) % 8))
    except ValueError:
        data = b""
    if form != _FORM or len(data) < _NONCE + _TAG or _encoded(data) != encoded:
        raise PermanentError("what is to be unsealed is no text that the sealer in memory has made")
    return key_id, data
