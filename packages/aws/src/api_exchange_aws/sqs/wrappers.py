"""What other services of AWS put around a message that they hand on to SQS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

_MARKS: Final = (b'"TopicArn"', b'"detail-type"')


def unwrapped(body: bytes) -> bytes:
    """The message of an exchange that SNS or EventBridge have wrapped; *body* as it is, if it is nothing of the kind.

    Sources: "HTTP/HTTPS notification JSON format" (SNS; raw message delivery leaves it out), "AWS service event
    metadata" (EventBridge).
    """
    if not any(mark in body for mark in _MARKS):
        return body
    match _parsed(body):
        case {"Type": "Notification", "TopicArn": str(), "Message": str(text)} if _is_message(_parsed(text)):
            return text.encode("utf-8", "surrogatepass")
        case {"detail-type": str(), "source": str(), "detail": dict() as detail} if _is_message(detail):
            return json.dumps(detail, separators=(",", ":")).encode()
        case _:
            return body


def _parsed(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_message(found: object) -> bool:
    """Whether it is an envelope, of whichever version."""
    return isinstance(found, Mapping) and "specversion" in found and "tenantid" in found
