"""Messages of a queue by their numbers, which the broker hands out in its own order only, unless they are deferred."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from azure.servicebus.exceptions import MessageAlreadySettled, MessageLockLostError, MessageNotFoundError

from api_exchange_azure.servicebus.graves import number_of

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiver

_PAGE: Final = 100
_WAIT: Final = 0.5  # seconds for the first message of a receive
_WORTHLESS: Final = (MessageLockLostError, MessageAlreadySettled, MessageNotFoundError)


def there(receiver: ServiceBusReceiver, numbers: Sequence[int]) -> dict[int, ServiceBusReceivedMessage]:
    """Look at the messages of those numbers, which ascend; the ones that are there."""
    found: dict[int, ServiceBusReceivedMessage] = {}
    wanted = set(numbers)
    seen = 0
    for number in numbers:
        if number <= seen:
            continue
        page = receiver.peek_messages(min(_PAGE, numbers[-1] - number + 1), sequence_number=number)
        if not page:
            break
        found |= {number_of(one): one for one in page if number_of(one) in wanted}
        seen = number_of(page[-1])
    return found


def set_aside(
    opened: Callable[[], ServiceBusReceiver], wanted: Mapping[int, ServiceBusReceivedMessage]
) -> list[int]:
    """Defer the messages that were looked at, and all before them; the numbers of those that are deferred by then.

    What somebody else has in hand meanwhile is not among them.

    Args:
        opened: a new receiver, which is closed again: one that is kept would go on taking what comes later.
        wanted: the messages, by their numbers.
    """
    from azure.servicebus import ServiceBusMessageState

    aside = {number for number, one in wanted.items() if one.state is ServiceBusMessageState.DEFERRED}
    if wanted.keys() <= aside:
        return sorted(aside)
    with opened() as receiver:
        while not wanted.keys() <= aside and (received := receiver.receive_messages(_PAGE, _WAIT)):
            for one in received:
                with suppress(*_WORTHLESS):
                    receiver.defer_message(one)
                    aside.add(number_of(one))
    return sorted(wanted.keys() & aside)


def lock(receiver: ServiceBusReceiver, numbers: Sequence[int]) -> list[ServiceBusReceivedMessage]:
    """Lock deferred messages, but for those that somebody else has in hand.

    The broker locks all that it is asked for, or none.
    """
    if not numbers:
        return []
    try:
        return receiver.receive_deferred_messages(list(numbers))
    except MessageNotFoundError:
        if len(numbers) == 1:
            return []
        half = len(numbers) // 2
        return [*lock(receiver, numbers[:half]), *lock(receiver, numbers[half:])]


def remove(
    receiver: ServiceBusReceiver, messages: Iterable[ServiceBusReceivedMessage]
) -> list[ServiceBusReceivedMessage]:
    """Remove locked messages; those whose lock was good for it."""
    gone = []
    for one in messages:
        with suppress(*_WORTHLESS):
            receiver.complete_message(one)
            gone.append(one)
    return gone


def give_back(receiver: ServiceBusReceiver, messages: Iterable[ServiceBusReceivedMessage]) -> None:
    """Let others have locked messages before their locks end."""
    for one in messages:
        with suppress(*_WORTHLESS):
            receiver.defer_message(one)
