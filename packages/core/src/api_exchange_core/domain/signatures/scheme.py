"""What the schemes have in common, and how their headers are read."""

from __future__ import annotations

import binascii
import hashlib
import re
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.json_pointer import text_at
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.signatures.proof import Flaw, Presented

LONGEST_HEADER: Final = 2_048
"""Characters of a header that is looked at; `MOST_SIGNATURES` of SHA-512 in hexadecimal fit in."""

DEFAULT_TOLERANCE: Final = timedelta(minutes=5)
"""What Standard Webhooks, Stripe and Slack recommend."""

LONGEST_TOLERANCE: Final = timedelta(days=1)

_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-f]{2})+", re.ASCII)


class SignatureScheme(ABC):
    """How one kind of sender signs. Knows no secret and no clock."""

    __slots__ = ()

    name: ClassVar[str]
    """For people: ``Standard Webhooks``."""

    id_pointer: ClassVar[str | None]
    """Where in the payload the sender's id of a delivery is, as a JSON pointer, if no signed header has it."""

    @property
    def tolerance(self) -> timedelta:
        """How far the sender's clock may be from ours; of no use where a scheme has no time."""
        return DEFAULT_TOLERANCE

    @abstractmethod
    def presented(self, headers: Mapping[str, str]) -> Presented | Flaw:
        """What *headers* present, names in lower case, or why that is nothing. Their size is bounded."""

    @abstractmethod
    def key(self, secret: bytes) -> bytes | None:
        """The key of the HMAC that *secret* stands for; None if it is no secret of this scheme."""

    def challenge(self, payload: JsonValue) -> str | None:  # noqa: ARG002 - most senders never ask
        """What to answer at once, if *payload*, which is proven, only asks whether anybody is there."""
        return None

    def delivery_id(self, presented: Presented, payload: JsonValue, body: bytes) -> str | None:
        """By what a delivery is known when it comes again, a part of what is signed; None if it is never known.

        Without an id of the sender's that is the body: a retry has the same one, and another time and signature.
        """
        if presented.delivery_id is not None:
            return f"id:{presented.delivery_id}"
        found = None if self.id_pointer is None else text_at(self.id_pointer, payload)
        return f"body:{hashlib.sha256(body).hexdigest()}" if found is None else f"id:{found}"


def header(headers: Mapping[str, str], name: str) -> str | Flaw:
    """The header called *name*, if it is there and not too long."""
    value = headers.get(name.lower())
    if not value:
        return Flaw.MISSING
    return Flaw.MALFORMED if len(value) > LONGEST_HEADER else value


def time_of(text: str) -> datetime | None:
    """Unix seconds as a time; None if *text* is none of this or the next century."""
    if not _SECONDS.fullmatch(text):
        return None
    return datetime.fromtimestamp(int(text), UTC)


def from_hex(text: str) -> bytes | None:
    """Lower-case hexadecimal digits as bytes; None if *text* has anything else in it."""
    return bytes.fromhex(text) if _HEX.fullmatch(text) else None


def from_base64(text: str | bytes) -> bytes | None:
    """Base64 (RFC 4648, section 4) as bytes; None if *text* is none, or has nothing in it.

    Of the texts that decode to the same bytes only the one that encoding makes is taken (section 3.5), so that no two
    headers are the same signature.
    """
    try:
        decoded = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    given = text.encode() if isinstance(text, str) else text
    return decoded if decoded and b64encode(decoded) == given else None


def not_empty(secret: bytes) -> bytes | None:
    """A secret that is its own key."""
    return secret or None


def check_tolerance(tolerance: object) -> None:
    """Return if *tolerance* is a timedelta above zero and up to `LONGEST_TOLERANCE`.

    Raises:
        DeclarationError: it is not.
    """
    if not isinstance(tolerance, timedelta) or not timedelta(0) < tolerance <= LONGEST_TOLERANCE:
        raise DeclarationError(
            f"the tolerance of a signature is a timedelta above 0 and up to {LONGEST_TOLERANCE}, not {tolerance!r}"
        )
