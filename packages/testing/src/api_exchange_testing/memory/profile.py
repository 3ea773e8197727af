"""What queues of a platform take and promise, as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from api_exchange_core.domain.envelope import FAILURE_ROOM, MAX_MESSAGE_BYTES
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.output import MAX_DELAY
from api_exchange_core.ports.message_publisher import Outgoing


def bytes_of_body(message: Outgoing) -> int:
    """The body alone counts."""
    return len(message.body)


def bytes_with_properties(message: Outgoing) -> int:
    """The body counts, and so do names and values of the properties."""
    return len(message.body) + sum(
        len(name.encode()) + len(value.encode()) for name, value in message.properties.items()
    )


def bytes_in_sqs(message: Outgoing) -> int:
    """As `bytes_with_properties`, and each property's type counts too, which is always ``String``."""
    return bytes_with_properties(message) + len("String") * len(message.properties)


def bytes_in_base64(message: Outgoing) -> int:
    """Four for every three of the body, padded."""
    return 4 * -(-len(message.body) // 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """In what the queues of one platform differ from those of another, before an adapter makes up for it.

    Args:
        name: what messages of errors call it.
        max_bytes: largest message; more is refused.
        measure: the bytes of a message as the platform counts them.
        max_delay: longest wait of one send. For a longer one the message is sent again when the first is over, up to
            the delay that an output may have; more is refused.
        max_visibility: longest time for which one receive or extension hides a message; more is refused.
        receive_batch: most messages that one receive answers with, None for any.
        send_batch: most messages of one request to send, None for any. A call with more takes several requests: if
            one is refused, those before it have been sent.
        ordering_keys: messages with the same key wait for each other.
        fair: each tenant gets its share of a receive, rather than the oldest first of whatever tenant.
        receipts_expire: a receipt is worthless from the end of its timeout, not only from the next receive.
        redelivers_every: so often (every third message that is completed, say) a completed message is handed out
            once more, which every platform may do and does rarely; 0 is never.

    Raises:
        ValueError: a batch without messages, or a span that is not positive.
    """

    name: str
    max_bytes: int
    measure: Callable[[Outgoing], int] = bytes_of_body
    max_delay: timedelta = MAX_DELAY
    max_visibility: timedelta | None = None
    receive_batch: int | None = None
    send_batch: int | None = None
    ordering_keys: bool = True
    fair: bool = True
    receipts_expire: bool = True
    redelivers_every: int = 0

    def __post_init__(self) -> None:
        for what in ("max_bytes", "receive_batch", "send_batch"):
            most = getattr(self, what)
            if most is not None and most < 1:
                raise ValueError(f"profile {self.name!r}: {what} must be 1 or more, not {most!r}")
        for what in ("max_delay", "max_visibility"):
            longest = getattr(self, what)
            if longest is not None and longest <= timedelta(0):
                raise ValueError(f"profile {self.name!r}: {what} must be positive, not {longest!r}")
        if self.redelivers_every < 0:
            raise ValueError(
                f"profile {self.name!r}: redelivers_every must be 0 or more, not {self.redelivers_every!r}"
            )

    def check(self, message: Outgoing) -> None:
        """Return if *message* can be sent.

        Raises:
            PermanentError: it never can; says why.
        """
        size = self.measure(message)
        if size > self.max_bytes:
            raise PermanentError(
                f"message {message.message_id!r} to queue {message.queue!r} has {size:,} bytes as {self.name} "
                f"counts them; {self.max_bytes:,} is the limit"
            )
        if message.delay > MAX_DELAY:
            raise PermanentError(
                f"message {message.message_id!r} to queue {message.queue!r} is delayed by {message.delay}; "
                f"{MAX_DELAY} is the limit"
            )

    def check_visibility(self, visibility: timedelta) -> None:
        """Return if a message can be hidden for so long.

        Raises:
            PermanentError: it cannot.
        """
        if self.max_visibility is not None and visibility > self.max_visibility:
            raise PermanentError(
                f"{self.name} hides a message for {self.max_visibility} at most, not for {visibility}: "
                "take less, and extend it while the work goes on"
            )


PORTABLE: Final = Profile(name="the portable profile", max_bytes=MAX_MESSAGE_BYTES + FAILURE_ROOM)
"""What every adapter gives an application: the limits that the framework itself sets, order, and fair shares."""

# Amazon SQS Developer Guide, "Amazon SQS message quotas": message size (with attributes: their names, types and
# values), message timer, message visibility timeout, message batch. A receive answers with 10 at most as well
# (ReceiveMessage, MaxNumberOfMessages), and until somebody receives the message again an old receipt handle still
# deletes it (DeleteMessage).
SQS: Final = Profile(
    name="SQS",
    max_bytes=1024 * 1024,
    measure=bytes_in_sqs,
    max_delay=timedelta(minutes=15),
    max_visibility=timedelta(hours=12),
    receive_batch=10,
    send_batch=10,
    ordering_keys=False,
    fair=False,
    receipts_expire=False,
)
"""A standard queue of Amazon SQS."""

# "Azure Service Bus quotas": message size of the Standard tier, with its properties; messages of one transaction (100),
# which a batch that arrives whole is. "Message transfers, locks, and settlement": a lock lasts 5 minutes at most, and
# once it has expired the message cannot be settled. A scheduled message may wait for any time.
SERVICE_BUS: Final = Profile(
    name="Service Bus",
    max_bytes=256 * 1024,
    measure=bytes_with_properties,
    max_visibility=timedelta(minutes=5),
    send_batch=100,
    fair=False,
)
"""A queue with sessions, which keep the order of a key, of Azure Service Bus in its Standard tier."""

# "Scalability and performance targets for Queue Storage": message size. The Functions host encodes in Base64
# (host.json, queues.messageEncoding). "Put Message": one message a request, visibilitytimeout. "Get Messages":
# numofmessages, visibilitytimeout. A pop receipt holds until the message is received or updated again.
STORAGE_QUEUE: Final = Profile(
    name="Storage Queue",
    max_bytes=64 * 1024,
    measure=bytes_in_base64,
    max_delay=timedelta(days=7),
    max_visibility=timedelta(days=7),
    receive_batch=32,
    send_batch=1,
    ordering_keys=False,
    fair=False,
    receipts_expire=False,
)
"""A queue of Azure Storage, whose messages are Base64."""
