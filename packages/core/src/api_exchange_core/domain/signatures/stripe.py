"""Stripe's webhooks."""

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
    from_hex,
    header,
    not_empty,
    time_of,
)

_HEADER: Final = "Stripe-Signature"
_PART = re.compile(
    r"([a-z]+[0-9]*)=([!-~]+)", re.ASCII
)  # a second header of the name would begin with a blank


@dataclass(frozen=True, slots=True)
class StripeSignature(SignatureScheme):
    """``Stripe-Signature: t=...,v1=...``; several ``v1`` while a secret is rolled, and ``v0`` is passed over.

    A secret is taken as it stands, ``whsec_`` included. A retry is signed anew, so the event's ``id`` tells it.
    Source: "Verify webhook signatures manually", docs.stripe.com.

    Args:
        tolerance: how far the sender's clock may be from ours.
    """

    name: ClassVar[str] = "Stripe"
    id_pointer: ClassVar[str | None] = "/id"
    tolerance: timedelta = DEFAULT_TOLERANCE

    def __post_init__(self) -> None:
        check_tolerance(self.tolerance)

    @override
    def presented(self, headers: Mapping[str, str]) -> Presented | Flaw:
        value = header(headers, _HEADER)
        if isinstance(value, Flaw):
            return value
        parts = [_PART.fullmatch(part) for part in value.split(",")]
        if None in parts or len(parts) > 1 + MOST_SIGNATURES:
            return Flaw.MALFORMED
        named = [(part[1], part[2]) for part in parts if part is not None]
        times = [text for name, text in named if name == "t"]
        known = [from_hex(text) for name, text in named if name == "v1"]
        signatures = tuple(one for one in known if one is not None)
        if len(times) != 1 or not 0 < len(signatures) == len(known):
            return Flaw.MALFORMED
        signed_at = time_of(times[0])
        if signed_at is None:
            return Flaw.MALFORMED
        return Presented(signatures, f"{times[0]}.".encode(), signed_at=signed_at)

    @override
    def key(self, secret: bytes) -> bytes | None:
        return not_empty(secret)
