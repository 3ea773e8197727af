"""Messages too large for their queue: the envelope travels, and its content is kept apart.

The envelope then has the attributes of the CloudEvents extension "Dataref (Claim Check Pattern)" in place of its data:
``dataref``, here ``urn:sha256:`` and the digest of the content, and beside it ``datarefsize``, its bytes. All else of
the envelope can be read as ever, a dead letter's failure block included. Content is known by its digest and so by
whoever has the envelope; it is looked for below the envelope's own tenant only.

Source: CloudEvents 1.0.2, extensions/dataref.md; RFC 8141 for the form of a URN.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Final

from pydantic_core import from_json, to_json

from api_exchange_core.domain.errors import InvalidMessageError
from api_exchange_core.domain.json_value import JsonValue

_URN: Final = "urn:sha256:"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MEMBERS: Final = {"data": "application/json", "data_base64": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class PayloadClaim:
    """The right to a content, and all that is needed to know it again.

    Args:
        digest: its SHA-256 in hexadecimal.
        size: its bytes.
    """

    digest: str
    size: int

    def __post_init__(self) -> None:
        if not isinstance(self.digest, str) or not _DIGEST.fullmatch(self.digest):
            raise InvalidMessageError("a claim's digest is a SHA-256 in 64 hexadecimal digits, in lower case")
        if type(self.size) is not int or self.size < 0:
            raise InvalidMessageError(f"a claim's size is a whole number of bytes, not {self.size!r}")

    @classmethod
    def to(cls, content: bytes) -> PayloadClaim:
        """The claim to *content*."""
        return cls(hashlib.sha256(content).hexdigest(), len(content))

    def fits(self, content: bytes) -> bool:
        """Whether *content* is what is claimed."""
        return PayloadClaim.to(content) == self


def check_in(body: bytes) -> tuple[bytes, bytes]:
    """Part an envelope from its content.

    Returns:
        The envelope with a claim, and the content to be kept.

    Raises:
        InvalidMessageError: *body* is no envelope with content.
    """
    event = _event(body)
    member = next((name for name in _MEMBERS if name in event), None)
    if member is None:
        raise InvalidMessageError("the message has no content that could be kept apart from it")
    data = event.pop(member)
    content = b64decode(str(data)) if member == "data_base64" else to_json(data)
    claim = PayloadClaim.to(content)
    event |= {
        "datacontenttype": _MEMBERS[member],
        "dataref": _URN + claim.digest,
        "datarefsize": claim.size,
    }
    return to_json(event), content


def claim_in(body: bytes) -> PayloadClaim | None:
    """The claim that an envelope has in place of its content; None if it has none, or is no envelope.

    Raises:
        InvalidMessageError: it has one of another kind.
    """
    if b'"dataref"' not in body:
        return None
    try:
        event = _event(body)
    except InvalidMessageError:
        return None
    if "dataref" not in event:
        return None
    reference = event["dataref"]
    if not isinstance(reference, str) or not reference.startswith(_URN):
        raise InvalidMessageError(f"`dataref` of a message of ours begins with {_URN!r}")
    size = event.get("datarefsize")
    if not isinstance(size, int):
        raise InvalidMessageError("`datarefsize` is missing or no whole number")
    return PayloadClaim(reference.removeprefix(_URN), size)


def without_content(body: bytes) -> bytes:
    """The envelope in *body* with null in place of the content that it claims, for who reads its attributes only.

    Raises:
        InvalidMessageError: *body* is no envelope.
    """
    event = _event(body)
    kept = {name: value for name, value in event.items() if name not in ("dataref", "datarefsize")}
    return to_json(kept | {"data": None})


def tenant_in(body: bytes) -> str | None:
    """Whose envelope *body* is, as far as it says so; not checked."""
    tenant = _event(body).get("tenantid")
    return tenant if isinstance(tenant, str) else None


def redeem(body: bytes, content: bytes) -> bytes:
    """Join an envelope and the content that it claims.

    Raises:
        InvalidMessageError: it claims another content, or none.
    """
    claim = claim_in(body)
    if claim is None or not claim.fits(content):
        raise InvalidMessageError("the content is not what the message claims")
    event = _event(body)
    del event["dataref"], event["datarefsize"]
    if event["datacontenttype"] == _MEMBERS["data_base64"]:
        del event["datacontenttype"]
        return to_json(event | {"data_base64": b64encode(content).decode()})
    return b'%b,"data":%b}' % (to_json(event)[:-1], content)


def _event(body: bytes) -> dict[str, JsonValue]:
    try:
        event = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise InvalidMessageError("unreadable: not JSON") from None
    if not isinstance(event, dict):
        raise InvalidMessageError("unreadable: JSON, but no object")
    return event
