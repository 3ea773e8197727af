"""Slack's requests: events, slash commands, interactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final

from typing_extensions import override

from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.signatures.proof import Flaw, Presented
from api_exchange_core.domain.signatures.scheme import (
    DEFAULT_TOLERANCE,
    SignatureScheme,
    check_tolerance,
    from_hex,
    header,
    not_empty,
    time_of,
)

_VERSION: Final = "v0"


@dataclass(frozen=True, slots=True)
class SlackSignature(SignatureScheme):
    """``X-Slack-Signature: v0=...`` and ``X-Slack-Request-Timestamp``.

    The challenge of ``url_verification`` is answered at once and makes no message.
    Source: "Verifying requests from Slack" and the event "url_verification", docs.slack.dev.

    Args:
        tolerance: how far the sender's clock may be from ours.
    """

    name: ClassVar[str] = "Slack"
    id_pointer: ClassVar[str | None] = "/event_id"
    tolerance: timedelta = DEFAULT_TOLERANCE

    def __post_init__(self) -> None:
        check_tolerance(self.tolerance)

    @override
    def presented(self, headers: Mapping[str, str]) -> Presented | Flaw:
        value, seconds = header(headers, "X-Slack-Signature"), header(headers, "X-Slack-Request-Timestamp")
        for one in (value, seconds):
            if isinstance(one, Flaw):
                return one
        version, _, digits = value.partition("=")
        signature, signed_at = from_hex(digits), time_of(seconds)
        if version != _VERSION or signature is None or signed_at is None:
            return Flaw.MALFORMED
        return Presented((signature,), f"{_VERSION}:{seconds}:".encode(), signed_at=signed_at)

    @override
    def key(self, secret: bytes) -> bytes | None:
        return not_empty(secret)

    @override
    def challenge(self, payload: JsonValue) -> str | None:
        if not isinstance(payload, dict) or payload.get("type") != "url_verification":
            return None
        challenge = payload.get("challenge")
        return challenge if isinstance(challenge, str) else None
