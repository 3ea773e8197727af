"""Standard Webhooks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final

from typing_extensions import override

from api_exchange_core.domain.signatures.proof import MOST_SIGNATURES, Flaw, Presented
from api_exchange_core.domain.signatures.scheme import (
    DEFAULT_TOLERANCE,
    SignatureScheme,
    check_tolerance,
    from_base64,
    header,
    time_of,
)

_SECRET: Final = b"whsec_"
_ID = re.compile(r"[!-~]{1,256}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StandardWebhooks(SignatureScheme):
    """``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` with symmetric signatures, ``v1``.

    Asymmetric ones (``v1a``) are passed over. A secret is base64, with or without ``whsec_`` in front.
    Source: Standard Webhooks specification 1.0.0, "Signature scheme", github.com/standard-webhooks/standard-webhooks.

    Args:
        tolerance: how far the sender's clock may be from ours.
    """

    name: ClassVar[str] = "Standard Webhooks"
    id_pointer: ClassVar[str | None] = None
    tolerance: timedelta = DEFAULT_TOLERANCE

    def __post_init__(self) -> None:
        check_tolerance(self.tolerance)

    @override
    def presented(self, headers: Mapping[str, str]) -> Presented | Flaw:
        id_, seconds, listed = (
            header(headers, f"webhook-{part}") for part in ("id", "timestamp", "signature")
        )
        for value in (id_, seconds, listed):
            if isinstance(value, Flaw):
                return value
        signed_at = time_of(seconds)
        signatures = _signatures(listed)
        # The id is a part of what is signed, in front of a dot: with dots of its own it could be read in two ways.
        if signed_at is None or signatures is None or not _ID.fullmatch(id_) or "." in id_:
            return Flaw.MALFORMED
        return Presented(signatures, f"{id_}.{seconds}.".encode(), signed_at=signed_at, delivery_id=id_)

    @override
    def key(self, secret: bytes) -> bytes | None:
        return from_base64(secret.removeprefix(_SECRET))


def _signatures(listed: str) -> tuple[bytes, ...] | None:
    parts = listed.split(" ")
    if len(parts) > MOST_SIGNATURES:
        return None
    known = [from_base64(part.removeprefix("v1,")) for part in parts if part.startswith("v1,")]
    found = tuple(one for one in known if one is not None)
    return found if found and len(found) == len(known) else None
