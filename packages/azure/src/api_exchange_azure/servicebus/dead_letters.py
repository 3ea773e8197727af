"""Dead letters in Service Bus."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final

from azure.servicebus.exceptions import MessagingEntityNotFoundError
from typing_extensions import override

from api_exchange_azure.errors import translated
from api_exchange_azure.servicebus import by_number
from api_exchange_azure.servicebus.graves import Grave, buried_at, found_by, number_of
from api_exchange_azure.servicebus.senders import Senders
from api_exchange_core.adapters.claim_check.queues import ClaimCheck
from api_exchange_core.domain.dead_letter import LetterId, StoredLetter, check_replayable
from api_exchange_core.domain.errors import ExchangeError, PermanentError, TransientError
from api_exchange_core.domain.names import QueueName
from api_exchange_core.ports.dead_letters import DeadLetters
from api_exchange_core.ports.sleeper import Sleeper

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiver

_PAGE: Final = 100
"""Letters that are looked at in one request."""
_IN_HAND: Final = 25
"""Letters that are locked at a time: it takes a request each until they are gone, and locks may last 5 seconds only."""
_PAUSE: Final = timedelta(seconds=1)
_TRIES: Final = 8

_Prepare = Callable[[Sequence[StoredLetter]], None]
_End = Callable[
    ["ServiceBusReceiver", Grave, "list[ServiceBusReceivedMessage]"], "list[ServiceBusReceivedMessage]"
]
"""Ends letters that are locked; says which of them it has ended."""


@dataclass(slots=True, eq=False)
class _Shared:
    """A receiver, which one thread may use at a time."""

    receiver: ServiceBusReceiver
    lock: Lock = field(default_factory=Lock)


class ServiceBusDeadLetters(DeadLetters):
    """Dead letters in Service Bus: those in ``<queue>-dlq``, then those in the ``/$DeadLetterQueue`` of either.

    The broker hands out the oldest, and by number only what is deferred. So all that lies before a chosen letter is
    deferred on the way to it, once: that costs one delivery of its count, where a release would cost one each time.

    A deferred letter is where it was. It is seen and counted as before, and had by its number at once from then on;
    but a receiver that asks for the next message gets it no more, and the portal shows it as deferred. Dead-letter
    queues are for this adapter alone, without sessions, and with a ``MaxDeliveryCount`` of 10 or more.

    Looking takes the right to listen, replaying that to send as well.

    Args:
        senders: of the namespace, whose client and prefix are taken for receiving, too.
        sleeper: waits while somebody else has letters in hand.
        session_queues: those that require sessions; a replayed message is in the one that it was in.
        claims: contents that are kept apart; None if nowhere is a place for them.
    """

    def __init__(
        self,
        senders: Senders,
        sleeper: Sleeper,
        *,
        session_queues: AbstractSet[QueueName] = frozenset(),
        claims: ClaimCheck | None = None,
    ) -> None:
        self._senders = senders
        self._sleeper = sleeper
        self._session_queues = session_queues
        self._claims = claims
        self._receivers: dict[Grave, _Shared] = {}
        self._links = ExitStack()
        self._making = Lock()

    @override
    def scan(self, queue: QueueName, *, until: datetime) -> Iterator[Sequence[StoredLetter]]:
        for grave in Grave.each(queue):
            start = 1
            while page := self._page(grave, start):
                letters = [grave.letter(one) for one in page if buried_at(one) <= until]
                if letters:
                    yield letters
                start = number_of(page[-1]) + 1

    @override
    def get(self, letter_id: LetterId) -> StoredLetter | None:
        found = found_by(letter_id)
        if found is None:
            return None
        grave, number = found
        with self._receiver(grave) as receiver:
            there = {} if receiver is None else by_number.there(receiver, [number])
        if number not in there:
            return None
        letter = grave.letter(there[number])
        return letter if self._claims is None else replace(letter, body=self._claims.whole(letter.body))

    @override
    def replay(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        """See `DeadLetters`.

        Raises:
            PermanentError: one is no message of an exchange; says which, and none that lies there is put back.
        """
        return self._each(queue, letter_ids, until, prepare=self._prepare_replay, end=self._put_back)

    @override
    def discard(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        return self._each(queue, letter_ids, until, prepare=lambda _: None, end=_remove)

    def close(self) -> None:
        """Close all links."""
        with self._making:
            self._links.close()
            self._receivers.clear()

    def _page(self, grave: Grave, start: int) -> Sequence[ServiceBusReceivedMessage]:
        with self._receiver(grave) as receiver:
            return [] if receiver is None else receiver.peek_messages(_PAGE, sequence_number=start)

    def _each(
        self,
        queue: QueueName,
        letter_ids: Collection[LetterId],
        until: datetime,
        *,
        prepare: _Prepare,
        end: _End,
    ) -> Collection[LetterId]:
        done: list[LetterId] = []
        for grave in Grave.each(queue):
            left: AbstractSet[int] = set(grave.numbers_in(letter_ids))
            tries = 0
            while left:
                there = self._there(grave, left, until)
                prepare([grave.letter(one) for one in there.values()])
                ended = self._end_free(grave, there, end)
                done += [grave.id_of(number) for number in ended]
                left = there.keys() - set(ended)
                if left and not ended:
                    tries += 1
                    if tries == _TRIES:
                        raise self._in_other_hands(grave, len(left))
                    self._sleeper.sleep(_PAUSE)
        return done

    def _there(
        self, grave: Grave, numbers: AbstractSet[int], until: datetime
    ) -> dict[int, ServiceBusReceivedMessage]:
        with self._receiver(grave) as receiver:
            found = {} if receiver is None else by_number.there(receiver, sorted(numbers))
        return {number: one for number, one in found.items() if buried_at(one) <= until}

    def _end_free(self, grave: Grave, there: Mapping[int, ServiceBusReceivedMessage], end: _End) -> list[int]:
        """End the letters that nobody else has in hand, some at a time; their numbers."""
        ended: list[int] = []
        with self._receiver(grave) as receiver:
            if receiver is not None:
                aside = by_number.set_aside(lambda: self._opened(grave), there)
                for start in range(0, len(aside), _IN_HAND):
                    locked = by_number.lock(receiver, aside[start : start + _IN_HAND])
                    ended += [number_of(one) for one in end(receiver, grave, locked)]
        return ended

    def _prepare_replay(self, letters: Sequence[StoredLetter]) -> None:
        for letter in letters:
            check_replayable(letter)
        if self._claims is not None:
            for letter in letters:
                self._claims.keep_anew(letter.body)

    def _put_back(
        self, receiver: ServiceBusReceiver, grave: Grave, locked: list[ServiceBusReceivedMessage]
    ) -> list[ServiceBusReceivedMessage]:
        in_session = grave.queue in self._session_queues
        try:
            self._senders.send(grave.queue, [grave.parcel(one, in_session=in_session) for one in locked])
        except ExchangeError:
            by_number.give_back(receiver, locked)
            raise
        by_number.remove(receiver, locked)
        return locked  # also what could not be removed, since its lock is lost by now: it is put back

    @contextmanager
    def _receiver(self, grave: Grave) -> Iterator[ServiceBusReceiver | None]:
        """The receiver of a place; None if there is no such queue for the broker to put anything aside from."""
        with translated("look through the dead letters", f"queue {self._path(grave)!r}"):
            try:
                shared = self._shared(grave)
            except MessagingEntityNotFoundError:
                if not grave.by_broker:
                    raise
                yield None
                return
            with shared.lock:
                yield shared.receiver

    def _shared(self, grave: Grave) -> _Shared:
        if not grave.by_broker and grave.entity in self._session_queues:
            raise PermanentError(
                f"queue {self._path(grave)!r} requires sessions, and letters in sessions cannot be looked through: "
                "create it without, and leave it out of API_EXCHANGE_SESSION_QUEUES"
            )
        with self._making:
            shared = self._receivers.get(grave)
            if shared is None:
                shared = _Shared(self._links.enter_context(self._opened(grave)))
                self._receivers[grave] = shared
            return shared

    def _opened(self, grave: Grave) -> ServiceBusReceiver:
        from azure.servicebus import ServiceBusSubQueue

        return self._senders.client.get_queue_receiver(
            self._senders.prefix + grave.entity,
            sub_queue=ServiceBusSubQueue.DEAD_LETTER if grave.by_broker else None,
        )

    def _path(self, grave: Grave) -> str:
        return f"{self._senders.prefix}{grave.entity}{'/$DeadLetterQueue' if grave.by_broker else ''}"

    def _in_other_hands(self, grave: Grave, number: int) -> TransientError:
        return TransientError(
            f"{number:,} letters in {self._path(grave)!r} are locked by somebody else, or by somebody who has died: "
            "they are free within the lock duration of that queue"
        )


def _remove(
    receiver: ServiceBusReceiver,
    grave: Grave,  # noqa: ARG001  # of any place
    locked: list[ServiceBusReceivedMessage],
) -> list[ServiceBusReceivedMessage]:
    return by_number.remove(receiver, locked)
