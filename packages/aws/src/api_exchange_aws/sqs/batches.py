"""Requests about up to ten messages, of which some may fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from api_exchange_aws.errors import DENIED, THROTTLED, translated
from api_exchange_aws.sqs.queues import Queue
from api_exchange_aws.sqs.received import Receipt
from api_exchange_aws.sqs.wire import MAX_BATCH, MAX_MESSAGE, Parcel, whole_seconds
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.errors import ExchangeError, PermanentError, TransientError

if TYPE_CHECKING:
    from datetime import timedelta

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef, DeleteMessageBatchRequestEntryTypeDef

T = TypeVar("T")

# ChangeMessageVisibility and DeleteMessage, "Errors"; the last is what FIFO queues say of an expired receipt.
_WORTHLESS: Final = frozenset(
    {"ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue", "InvalidIdFormat"}
)


@dataclass(frozen=True, slots=True)
class Refused:
    """One of many that failed.

    Args:
        place: which, counted from 0.
        code: why.
        is_ours: the fault is the sender's: the same request fails again.
    """

    place: int
    code: str
    is_ours: bool

    def error(self, what: str) -> ExchangeError:
        """The error of *what* was to be done."""
        if self.code in THROTTLED or not self.is_ours:
            return TransientError(f"{what} failed: {self.code}")
        how = "AWS denies" if self.code in DENIED else "AWS refuses"
        return PermanentError(f"{how} {what}: {self.code}")


@dataclass(slots=True)
class Sent:
    """What came of sending several messages.

    Args:
        stored: the places of those that SQS has stored.
        refused: those that it refused, each by itself.
        error: why a request failed as a whole.
    """

    stored: list[int] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    error: ExchangeError | None = None


def send(client: SQSClient, queue: Queue, parcels: Sequence[Parcel]) -> Sent:
    """Send *parcels* in their order. Nothing is sent any more once anything went wrong."""
    sent = Sent()
    for start, some in _requests(parcels):
        entries = [one.entry(str(start + n)) for n, one in enumerate(some)]
        try:
            with translated("sqs:SendMessage", str(queue)):
                answer = client.send_message_batch(QueueUrl=queue.url, Entries=entries)
        except ExchangeError as error:
            sent.error = error
            return sent
        sent.stored += [int(one["Id"]) for one in answer.get("Successful", [])]
        sent.refused = _refused(answer.get("Failed", []))
        if sent.refused:
            return sent
    return sent


def hide(client: SQSClient, queue: Queue, deliveries: Sequence[tuple[Delivery, timedelta]]) -> list[Delivery]:
    """Make each delivery visible after its time from now; those whose receipts are worthless, and stay as they are.

    Raises:
        PermanentError, TransientError: a request failed, or one of its entries for another reason.
    """
    times = [(Receipt.of(delivery).handle, time) for delivery, time in deliveries]
    return [deliveries[place][0] for place in hide_by_handle(client, queue, times)]


def hide_by_handle(client: SQSClient, queue: Queue, times: Sequence[tuple[str, timedelta]]) -> list[int]:
    """As `hide`, of SQS's own receipts; the places of those that are worthless."""

    def request(places: Sequence[int]) -> list[BatchResultErrorEntryTypeDef]:
        entries = [
            {"Id": str(n), "ReceiptHandle": handle, "VisibilityTimeout": whole_seconds(time)}
            for n, (handle, time) in ((place, times[place]) for place in places)
        ]
        with translated("sqs:ChangeMessageVisibility", str(queue)):
            answer = client.change_message_visibility_batch(QueueUrl=queue.url, Entries=entries)  # type: ignore[arg-type]  # the stubs' entry
        return answer.get("Failed", [])

    return _worthless(len(times), request, f"sqs:ChangeMessageVisibility on {queue}")


def delete(client: SQSClient, queue: Queue, deliveries: Sequence[Delivery]) -> None:
    """Remove the messages of *deliveries*; a worthless receipt removes nothing.

    Raises:
        PermanentError, TransientError: a request failed, or one of its entries for another reason.
    """
    delete_by_handle(client, queue, [Receipt.of(delivery).handle for delivery in deliveries])


def delete_by_handle(client: SQSClient, queue: Queue, handles: Sequence[str]) -> None:
    """As `delete`, by SQS's own receipts."""

    def request(places: Sequence[int]) -> list[BatchResultErrorEntryTypeDef]:
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(place), "ReceiptHandle": handles[place]} for place in places
        ]
        with translated("sqs:DeleteMessage", str(queue)):
            answer = client.delete_message_batch(QueueUrl=queue.url, Entries=entries)
        return answer.get("Failed", [])

    _worthless(len(handles), request, f"sqs:DeleteMessage on {queue}")


def _worthless(
    count: int, request: Callable[[Sequence[int]], list[BatchResultErrorEntryTypeDef]], what: str
) -> list[int]:
    """Make all requests; the places of worthless receipts. What failed for another reason is raised at the end."""
    lost: list[int] = []
    errors: list[ExchangeError] = []
    for start in range(0, count, MAX_BATCH):
        for refused in _refused(request(range(start, min(start + MAX_BATCH, count)))):
            if refused.code in _WORTHLESS:
                lost.append(refused.place)
            else:
                errors.append(refused.error(what))
    if errors:
        raise errors[0]
    return lost


def _refused(failed: Sequence[BatchResultErrorEntryTypeDef]) -> list[Refused]:
    return [
        Refused(int(one["Id"]), one["Code"].rpartition("AWS.SimpleQueueService.")[2], one["SenderFault"])
        for one in failed
    ]


def _requests(parcels: Sequence[Parcel]) -> Iterator[tuple[int, Sequence[Parcel]]]:
    """Parcels in their order, as many together as one request takes; with the place of the first."""
    start = size = 0
    for place, parcel in enumerate(parcels):
        if place - start == MAX_BATCH or (place > start and size + parcel.size > MAX_MESSAGE):
            yield start, parcels[start:place]
            start, size = place, 0
        size += parcel.size
    if start < len(parcels):
        yield start, parcels[start:]
