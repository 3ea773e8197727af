"""What a request presents as its proof, and whether it is one."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

Algorithm = Literal["sha1", "sha256", "sha512"]

MOST_SIGNATURES: Final = 8
"""Signatures that a request may present: of two secrets in rotation there are two, of each version."""

COMPARED_AT_LEAST: Final = 2
"""Keys that every request is compared with: a tenant has a current and a previous one. Where there are fewer, keys that
fit nothing take their place, so that an unknown tenant costs as much time as a wrong signature."""

_FITS_NOTHING: Final = b"\x00" * 32


class Flaw(StrEnum):
    """Why a request proves nothing. For the operator's eyes: the caller is told none of it."""

    MISSING = "missing"
    MALFORMED = "malformed"
    OUT_OF_TIME = "out_of_time"
    UNKEYED = "unkeyed"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Presented:
    """What the headers of a request say about its signature; nothing of it is proven yet.

    Args:
        signatures: those that the scheme could have made, 1 to `MOST_SIGNATURES`.
        prefix: what is signed in front of the body.
        algorithm: of the hash.
        signed_at: when it was signed, by the sender's clock; None where a scheme has no time.
        delivery_id: the sender's id of what is delivered, if it is among what is signed.
    """

    signatures: tuple[bytes, ...] = field(repr=False)
    prefix: bytes = b""
    algorithm: Algorithm = "sha256"
    signed_at: datetime | None = None
    delivery_id: str | None = None

    def is_timely(self, now: datetime, tolerance: timedelta) -> bool:
        """Whether it was signed at most *tolerance* before or after *now*; true where a scheme has no time."""
        return self.signed_at is None or abs(now - self.signed_at) <= tolerance

    def is_proven(self, body: bytes, keys: Sequence[bytes]) -> bool:
        """Whether one of *keys* signed *body*.

        Takes as long whichever of them did, or none: every signature is compared with every key, to its end.

        Args:
            body: as it came.
            keys: the secrets as the scheme uses them.
        """
        filled = [*keys, *[_FITS_NOTHING] * (COMPARED_AT_LEAST - len(keys))]
        found = False
        for place, key in enumerate(filled):
            mac = hmac.new(key, self.prefix, self.algorithm)
            mac.update(body)
            expected = mac.digest()
            for signature in self.signatures:
                found |= hmac.compare_digest(signature, expected) & (place < len(keys))
        return found
