"""What the broker says no with."""

from __future__ import annotations

from enum import StrEnum


class Condition(StrEnum):
    """Error conditions, as AMQP 1.0 (part 2.8.15 on) and Service Bus name them; the client's exceptions follow them."""

    NOT_FOUND = "amqp:not-found"
    NOT_ALLOWED = "amqp:not-allowed"
    NOT_IMPLEMENTED = "amqp:not-implemented"
    UNAUTHORIZED = "amqp:unauthorized-access"
    DECODE_ERROR = "amqp:decode-error"
    TOO_LARGE = "amqp:link:message-size-exceeded"
    ARGUMENT_ERROR = "com.microsoft:argument-error"
    MESSAGE_LOCK_LOST = "com.microsoft:message-lock-lost"
    MESSAGE_NOT_FOUND = "com.microsoft:message-not-found"
    SESSION_LOCK_LOST = "com.microsoft:session-lock-lost"
    SESSION_TAKEN = "com.microsoft:session-cannot-be-locked"
    SERVER_BUSY = "com.microsoft:server-busy"
    TIMEOUT = "com.microsoft:timeout"


class RefusedError(Exception):
    """The broker does not do what it was asked.

    Attributes:
        condition: why, for programs.
        text: why, for people.
    """

    def __init__(self, condition: Condition, text: str) -> None:
        super().__init__(f"{condition}: {text}")
        self.condition = condition
        self.text = text
