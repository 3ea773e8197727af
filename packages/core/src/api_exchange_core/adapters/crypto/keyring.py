"""The keys that secrets are sealed with, as one text: a line a key, the current one first.

    2026-11-23-9f3a:5Jb0...=
    2025-06-01-01bc:kq1x...=

A key is 32 random bytes in base64. Commas part entries as line breaks do, since not every platform takes an environment
variable of several lines. What is sealed is sealed with the first key; the others open what was sealed before.
"""

from __future__ import annotations

import binascii
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from api_exchange_core.domain.errors import DeclarationError

KEY_BYTES: Final = 32
"""AES-256."""

_KEY_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,30}[A-Za-z0-9])?")
# Shorter than any key is in base64 or hexadecimal: a key that stands where an id belongs is never repeated as one.
_WHAT_AN_ID_IS = "1 to 32 letters, digits, '_' or '-', with a letter or digit at both ends"
_MEND = "`api-exchange credentials new-key` makes an entry"


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by their ids.

    Args:
        current: id of the key that is sealed with.
        keys: all that can be opened with, the current one included.
    """

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def read(cls, text: bytes, *, name: str) -> Keyring:
        """The keys of *text*, in the form above.

        Args:
            text: the secret.
            name: under which it is kept, for errors.

        Raises:
            DeclarationError: it is not of that form, has no key, or one twice. Names entries by their place and
                their id, and repeats nothing that could be a key.
        """
        keys: dict[str, bytes] = {}
        for place, entry in enumerate(_entries(text, name), start=1):
            where = f"secret {name!r}, entry {place}"
            key_id, colon, encoded = entry.partition(":")
            if not colon:
                raise DeclarationError(f"{where}: it is no ID:KEY; {_MEND}")
            check_key_id(key_id, where=where)
            if key_id in keys:
                raise DeclarationError(f"{where}: there is another key called {key_id!r} before it")
            keys[key_id] = _key(encoded, where=f"{where} ({key_id!r})")
        if not keys:
            raise DeclarationError(f"secret {name!r} holds no key: {_MEND}")
        return cls(next(iter(keys)), keys)


def new_entry(key_id: str) -> str:
    """A fresh key as an entry of a keyring.

    Raises:
        DeclarationError: *key_id* is none.
    """
    check_key_id(key_id, where="the new key")
    return f"{key_id}:{b64encode(os.urandom(KEY_BYTES)).decode()}"


def check_key_id(key_id: str, *, where: str) -> None:
    """Find out whether a key can be called *key_id*.

    Raises:
        DeclarationError: it cannot; does not repeat it, since it may be a key that stands in the wrong place.
    """
    if not _KEY_ID.fullmatch(key_id):
        raise DeclarationError(f"{where}: the id before the colon must be {_WHAT_AN_ID_IS}")


def _entries(text: bytes, name: str) -> Iterator[str]:
    try:
        decoded = text.decode("ascii")
    except UnicodeDecodeError:
        raise DeclarationError(f"secret {name!r} is no ASCII text of ID:KEY entries: {_MEND}") from None
    return (entry for line in decoded.splitlines() for part in line.split(",") if (entry := part.strip()))


def _key(encoded: str, *, where: str) -> bytes:
    plain = encoded.strip().rstrip("=").replace("-", "+").replace("_", "/")  # either alphabet, padded or not
    try:
        key = b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise DeclarationError(f"{where}: the key is no base64; {_MEND}") from None
    if len(key) != KEY_BYTES:
        raise DeclarationError(f"{where}: the key has {len(key)} bytes, and must have {KEY_BYTES}; {_MEND}")
    return key
