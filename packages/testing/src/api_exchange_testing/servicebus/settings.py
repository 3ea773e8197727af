"""What a broker holds: queues, topics, subscriptions and their filters, as their owner declares them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from typing_extensions import override

MAX_LOCK: Final = timedelta(minutes=5)
"""The longest lock duration (Service Bus quotas)."""

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._~/-]*[A-Za-z0-9_])?")
_LONGEST_NAME: Final = 260  # of a queue or topic (Service Bus quotas)
_LONGEST_SUBSCRIPTION_NAME: Final = 50


@dataclass(frozen=True, slots=True)
class Receivable:
    """What queues and subscriptions have in common. The defaults are those of a new entity in Azure.

    Attributes:
        name: of the queue, or of the subscription within its topic. Capitals make no difference.
        lock_duration: of messages, and of sessions.
        max_delivery_count: a message that failed this often is dead-lettered.
        requires_session: messages without a session id are refused, and receivers must accept a session.
        default_time_to_live: of messages that tell none or a longer one; None is without end.
        dead_letter_on_expiry: whether a message past its time is dead-lettered rather than dropped.

    Raises:
        ValueError: a name, duration or count that Service Bus would not take.
    """

    name: str
    lock_duration: timedelta = timedelta(minutes=1)
    max_delivery_count: int = 10
    requires_session: bool = False
    default_time_to_live: timedelta | None = None
    dead_letter_on_expiry: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name, _LONGEST_NAME)
        if not timedelta(0) < self.lock_duration <= MAX_LOCK:
            raise ValueError(
                f"the lock duration of {self.name!r} is {self.lock_duration}, not up to {MAX_LOCK}"
            )
        if self.max_delivery_count < 1:
            raise ValueError(
                f"{self.name!r} delivers a message at least once, not {self.max_delivery_count} times"
            )
        _check_positive(self.name, "default time to live", self.default_time_to_live)


@dataclass(frozen=True, slots=True)
class Queue(Receivable):
    """A queue.

    Attributes:
        duplicate_window: for how long a second message of the same id is dropped; None looks for no duplicates.
    """

    duplicate_window: timedelta | None = None

    @override
    def __post_init__(self) -> None:
        Receivable.__post_init__(self)
        _check_positive(self.name, "duplicate window", self.duplicate_window)


@dataclass(frozen=True, slots=True)
class CorrelationFilter:
    """Lets a message pass whose properties equal all that are given here, capitals and all.

    Attributes:
        properties: application properties.
    """

    correlation_id: str | None = None
    message_id: str | None = None
    to: str | None = None
    reply_to: str | None = None
    subject: str | None = None
    session_id: str | None = None
    reply_to_session_id: str | None = None
    content_type: str | None = None
    properties: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subscription(Receivable):
    """A subscription of a topic.

    Attributes:
        filters: a message that passes one of them is received, once; None lets every message pass.

    Raises:
        ValueError: a filter that is not a `CorrelationFilter`: SQL is not interpreted.
    """

    filters: tuple[CorrelationFilter, ...] | None = None

    @override
    def __post_init__(self) -> None:
        Receivable.__post_init__(self)
        _check_name(self.name, _LONGEST_SUBSCRIPTION_NAME)
        for each in self.filters if self.filters is not None else ():
            if not isinstance(each, CorrelationFilter):
                raise ValueError(  # noqa: TRY004 - a filter of Service Bus, but none that this broker has
                    f"the filter {each!r} of {self.name!r} is not a CorrelationFilter; SQL filters are not interpreted"
                )


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic.

    Attributes:
        duplicate_window: as of a `Queue`.

    Raises:
        ValueError: a name that Service Bus would not take, or the same subscription twice.
    """

    name: str
    subscriptions: tuple[Subscription, ...] = ()
    duplicate_window: timedelta | None = None

    def __post_init__(self) -> None:
        _check_name(self.name, _LONGEST_NAME)
        _check_positive(self.name, "duplicate window", self.duplicate_window)
        names = [each.name.lower() for each in self.subscriptions]
        if len(set(names)) < len(names):
            raise ValueError(f"the topic {self.name!r} names a subscription twice: {names!r}")


def _check_name(name: str, longest: int) -> None:
    if not _NAME.fullmatch(name) or len(name) > longest:
        raise ValueError(
            f"{name!r} is no name of a queue, topic or subscription: letters, digits and . - _ ~ / up to {longest},"
            " with a letter or digit first"
        )


def _check_positive(name: str, what: str, duration: timedelta | None) -> None:
    if duration is not None and duration <= timedelta(0):
        raise ValueError(f"the {what} of {name!r} is {duration}; it must be more than nothing")
