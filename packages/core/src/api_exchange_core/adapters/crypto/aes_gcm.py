"""Sealing with AES-256 in Galois/Counter Mode (NIST SP 800-38D).

A sealed text is ``v1.<key id>.<base64url of nonce, ciphertext and tag>``. The nonce is 96 random bits, so a key is good
for 2^32 texts (section 8.3). Authenticated along with the secret are version, key id and what it is bound to, each
preceded by its length, so that no two lists of them give the same bytes.
"""

from __future__ import annotations

import binascii
import os
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from api_exchange_core.adapters.crypto.keyring import Keyring
from api_exchange_core.domain.errors import DeclarationError, PermanentError, TransientError
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.sealer import SealedText, Sealer
from api_exchange_core.ports.secret_source import SecretSource

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEYRING: Final = "API_EXCHANGE_KEYS"
"""Name of the secret that holds the keys."""

KEYS_MEMORY: Final = timedelta(minutes=1)
"""How long keys are used before they are read again: so soon does a rotation reach a process that runs."""

KEYS_OUTAGE: Final = timedelta(hours=1)
"""How long keys go on being used while their source is out of reach."""

_AT_MOST_EVERY: Final = timedelta(seconds=5)
"""A text that names a key which is not known makes the keys be read again, and no more often than this; nor is a source
asked more often that was just out of reach, since whoever seals or opens meanwhile waits for its answer."""

_FORM: Final = "v1"
_NONCE: Final = 12
_TAG: Final = 16


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keyring, ready for use."""

    read_at: datetime
    current: str
    ciphers: dict[str, AESGCM] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Failure:
    """The last time the source was out of reach."""

    read_at: datetime
    reason: str


def _random_nonce() -> bytes:
    return os.urandom(_NONCE)


@dataclass(slots=True)
class AesGcmSealer(Sealer):
    """Seals with the keys of a `Keyring`, which is read when it is first needed, and again every minute.

    Args:
        secrets: hold the keyring.
        clock: tells the time.
        keyring: its name.
        nonce: 12 bytes that never come twice.
    """

    secrets: SecretSource = field(repr=False)
    clock: Clock = field(repr=False)
    keyring: str = KEYRING
    nonce: Callable[[], bytes] = field(default=_random_nonce, repr=False)
    _known: _Keys | None = field(default=None, repr=False)
    _failure: _Failure | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @override
    def seal(self, secret: bytes, *, bound_to: Sequence[str]) -> SealedText:
        keys = self._keys(KEYS_MEMORY)
        nonce = self.nonce()
        data = _associated(keys.current, bound_to)
        encrypted = nonce + keys.ciphers[keys.current].encrypt(nonce, secret, data)
        return SealedText(f"{_FORM}.{keys.current}.{_encoded(encrypted)}")

    @override
    def unseal(self, sealed: SealedText, *, bound_to: Sequence[str]) -> bytes:
        from cryptography.exceptions import InvalidTag

        key_id, encrypted = _parts(sealed)
        try:
            return self._cipher(key_id).decrypt(
                encrypted[:_NONCE], encrypted[_NONCE:], _associated(key_id, bound_to)
            )
        except InvalidTag:
            raise PermanentError(
                f"a text that names key {key_id!r} cannot be unsealed: it was changed, sealed for something else, or "
                "sealed with another key of that name"
            ) from None

    @override
    def is_current(self, sealed: SealedText) -> bool:
        return _parts(sealed)[0] == self._keys(KEYS_MEMORY).current

    def _cipher(self, key_id: str) -> AESGCM:
        keys = self._keys(KEYS_MEMORY)
        if key_id not in keys.ciphers:  # perhaps another process knows a newer key already
            keys = self._keys(_AT_MOST_EVERY)
        if key_id not in keys.ciphers:
            if self._failure is not None:  # and perhaps the source does as well
                raise TransientError(f"key {key_id!r} is not known yet: {self._failure.reason}")
            raise PermanentError(
                f"key {key_id!r} is not in the secret {self.keyring!r}: put it back there, behind the current one, "
                "until `api-exchange credentials reseal` has sealed anew what needs it"
            )
        return keys.ciphers[key_id]

    def _keys(self, memory: timedelta) -> _Keys:
        """The keys, no older than *memory* if their source can be reached."""
        with self._lock:
            now, known = self.clock.now(), self._known
            if known is not None and _is_within(known, now, memory):
                return known
            self._known = self._read_again(known, now)
            return self._known

    def _read_again(self, known: _Keys | None, now: datetime) -> _Keys:
        """The keys as they are now; while their source is out of reach, those that were known not too long ago."""
        held = known if known is not None and _is_within(known, now, KEYS_OUTAGE) else None
        if held is not None and self._failure is not None and _is_within(self._failure, now, _AT_MOST_EVERY):
            return held
        try:
            keys = self._read(now)
        except TransientError as error:
            self._failure = _Failure(now, str(error))
            if held is None:
                raise
            return held
        self._failure = None
        return keys

    def _read(self, now: datetime) -> _Keys:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise DeclarationError(
                'encryption needs the library cryptography: pip install "api-exchange-core[apis]"'
            ) from error
        try:
            text = self.secrets.secret(self.keyring)
        except LookupError as error:
            raise DeclarationError(
                f"there is no key to encrypt with: {error}. `api-exchange credentials new-key` makes one"
            ) from None
        ring = Keyring.read(text, name=self.keyring)
        return _Keys(now, ring.current, {key_id: AESGCM(key) for key_id, key in ring.keys.items()})


def _is_within(read: _Keys | _Failure, now: datetime, memory: timedelta) -> bool:
    return read.read_at <= now < read.read_at + memory


def _associated(key_id: str, bound_to: Sequence[str]) -> bytes:
    parts = [part.encode() for part in (_FORM, key_id, *bound_to)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _parts(sealed: str) -> tuple[str, bytes]:
    """Id of the key, and the rest.

    Raises:
        PermanentError: it is no sealed text of this form.
    """
    form, _, rest = sealed.partition(".")
    key_id, _, encoded = rest.partition(".")
    try:
        encrypted = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (binascii.Error, ValueError):
        encrypted = b""
    # Base64 that ends in other spare bits says the same bytes: only the one form that is written is read.
    if form != _FORM or len(encrypted) < _NONCE + _TAG or _encoded(encrypted) != encoded:
        raise PermanentError(
            f"what is to be unsealed is no text of the form {_FORM}.KEY.BASE64: it was changed, cut off, or written by "
            "a newer release"
        )
    return key_id, encrypted
