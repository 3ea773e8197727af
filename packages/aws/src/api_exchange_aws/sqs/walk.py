"""Going through a queue of SQS, whose messages cannot be looked at without receiving them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from botocore.exceptions import ClientError

from api_exchange_aws.errors import code_of, translated
from api_exchange_aws.sqs import batches
from api_exchange_aws.sqs.queues import Queue
from api_exchange_aws.sqs.wire import LONGEST_VISIBILITY, MAX_BATCH, whole_seconds
from api_exchange_core.domain.errors import ExchangeError, TransientError
from api_exchange_core.ports.clock import Clock

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef

TIME_TO_MOVE: Final = timedelta(minutes=1)
"""How long messages stay hidden from when it is certain that they are ours."""

_SHORTEST: Final = timedelta(minutes=1)
_A_MESSAGE: Final = timedelta(milliseconds=50)
"""Time for one of many; ten come with one request."""

_NOW: Final = timedelta(0)
_EMPTY_ANSWERS: Final = 3
_OVER_LIMIT: Final = (
    "OverLimit"  # of a short poll; a long one finds nothing more (quotas, "Messages per queue (in flight)")
)
_ATTRIBUTES: Final[tuple[QueueAttributeNameType, ...]] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "RedrivePolicy",
)


@dataclass(frozen=True, slots=True)
class Counts:
    """What SQS says of a queue; its numbers are approximate, and up to a minute old (GetQueueAttributes).

    Args:
        messages: in it, whatever hides them.
        in_hand: those that were handed out and are hidden.
        redrives: it has a redrive policy, which moves what was handed out too often.
    """

    messages: int
    in_hand: int
    redrives: bool

    @classmethod
    def of(cls, client: SQSClient, queue: Queue) -> Self:
        """Those of *queue*.

        Raises:
            PermanentError, TransientError: SQS does not tell.
        """
        with translated("sqs:GetQueueAttributes", str(queue)):
            told = client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=_ATTRIBUTES)["Attributes"]
        visible, in_hand, delayed = (int(told[name]) for name in _ATTRIBUTES[:3])
        return cls(visible + in_hand + delayed, in_hand, redrives=bool(told.get("RedrivePolicy")))

    @property
    def time(self) -> timedelta:
        """How long going through so many may take at most; who dies on the way hides them for as long."""
        return min(_SHORTEST + self.messages * _A_MESSAGE, LONGEST_VISIBILITY)


@dataclass(slots=True)
class Walk:
    """Once through a queue. What it is handed stays hidden from all others until it is given back.

    Args:
        client: of SQS.
        queue: which.
        clock: tells the time.
        wait: how long a receive may wait for the first message. With none, SQS may overlook some.
        expected: about how many messages there are.
        ends_at: when all that it was handed is visible again, whatever becomes of this process.
    """

    client: SQSClient
    queue: Queue
    clock: Clock
    wait: timedelta
    expected: int
    ends_at: datetime
    _held: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def messages(self) -> Iterator[Sequence[MessageTypeDef]]:
        """All that SQS hands out, ten at a time; one may come twice.

        That is nearly all there is, but for what others have in hand, what is behind ten messages of its own group in a
        FIFO queue, and what is beyond the 120,000 that SQS hands out before any is given back.

        Raises:
            TransientError: SQS is out of reach, or so slow that the first ones are visible again.
        """
        empty = 0
        while empty < (1 if len(self._held) >= self.expected else _EMPTY_ANSWERS):
            messages = self._received()
            self._held |= {message["MessageId"]: message["ReceiptHandle"] for message in messages}
            if messages:
                empty = 0
                yield messages
            else:
                empty += 1

    def of_others(self) -> int:
        """About how many messages others have in hand."""
        return Counts.of(self.client, self.queue).in_hand - len(self._held)

    def unseen(self) -> int:
        """About how many messages there are that were not handed out."""
        return Counts.of(self.client, self.queue).messages - len(self._held)

    def claim(self, ids: Collection[str]) -> None:
        """Make certain of messages that were handed out: for `TIME_TO_MOVE` they are nobody else's.

        Raises:
            TransientError: some are by now.
        """
        times = [(self._held[id_], TIME_TO_MOVE) for id_ in ids]
        if batches.hide_by_handle(self.client, self.queue, times):
            raise TransientError(f"messages of {self.queue} were in hand for too long, and are visible again")

    def remove(self, ids: Collection[str]) -> None:
        """Remove messages that were handed out from the queue.

        Raises:
            TransientError: some may still be there.
        """
        handles = [self._held.pop(id_) for id_ in ids]
        batches.delete_by_handle(self.client, self.queue, handles)

    def give_back(self) -> None:
        """Make visible again what was handed out and not removed."""
        times = [(handle, _NOW) for handle in self._held.values()]
        self._held.clear()
        with suppress(ExchangeError):  # what it fails for is visible again at the end
            batches.hide_by_handle(self.client, self.queue, times)

    def _received(self) -> Sequence[MessageTypeDef]:
        left = self.ends_at - self.clock.now()
        if left <= _NOW:
            raise TransientError(
                f"{self.queue} could not be gone through before its messages were visible again: SQS, or the way to "
                "it, is slow"
            )
        with translated("sqs:ReceiveMessage", str(self.queue)):
            try:
                answer = self.client.receive_message(
                    QueueUrl=self.queue.url,
                    MaxNumberOfMessages=MAX_BATCH,
                    VisibilityTimeout=whole_seconds(left),
                    WaitTimeSeconds=whole_seconds(self.wait),
                    MessageSystemAttributeNames=["All"],
                    MessageAttributeNames=["All"],
                )
            except ClientError as error:
                if code_of(error) != _OVER_LIMIT:
                    raise
                return []
        return answer.get("Messages", [])
