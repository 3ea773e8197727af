"""Dead letters in Storage Queues."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import ResourceNotFoundError
from typing_extensions import override

from api_exchange_azure.errors import translated
from api_exchange_azure.storage.graves import Grave, buried_at, found_by
from api_exchange_azure.storage.queues import AT_ONCE, StorageQueues
from api_exchange_azure.storage.walk import HIDDEN, Walk
from api_exchange_azure.storage.wire import Content
from api_exchange_core.adapters.claim_check.queues import ClaimCheck
from api_exchange_core.domain.dead_letter import LetterId, StoredLetter, check_replayable, revived
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import QueueName
from api_exchange_core.ports.dead_letters import DeadLetters
from api_exchange_core.ports.sleeper import Sleeper

if TYPE_CHECKING:
    from azure.storage.queue import QueueMessage

_PAUSE: Final = timedelta(seconds=1)
_TRIES: Final = 8
_AT_ONCE: Final = timedelta(0)
_EVER: Final = datetime.max.replace(tzinfo=UTC)

_End = Callable[[Walk, Grave, "Sequence[QueueMessage]"], "Iterator[QueueMessage]"]
"""Ends messages that are in hand; tells which of them it has ended."""


@dataclass(frozen=True, slots=True)
class StorageQueueDeadLetters(DeadLetters):
    """Dead letters in Storage Queues: those in ``<queue>-dlq``, then those in the ``<queue>-poison`` of the host.

    Up to 32 letters are peeked at. The service shows no more, and hands out no chosen message, so that more have to
    be received, which hides them: a walk takes hold of all that it meets, and gives it back at its end. What another
    walk has in hand meanwhile is counted by the service, and waited for.

    A walk takes two requests a letter, and ends once all that are wanted were met. Letters are replayed and listed in
    about the order in which they died; the service knows whole seconds.

    Args:
        queues: of the account.
        sleeper: waits while somebody else has letters in hand.
        claims: contents that are kept apart; None if nowhere is a place for them.
    """

    queues: StorageQueues
    sleeper: Sleeper
    claims: ClaimCheck | None = None

    @override
    def scan(self, queue: QueueName, *, until: datetime) -> Iterator[Sequence[StoredLetter]]:
        for grave in Grave.both(queue):
            for page in self._all(grave):
                letters = [grave.letter(one) for one in _oldest_first(page) if buried_at(one) <= until]
                if letters:
                    yield letters

    @override
    def get(self, letter_id: LetterId) -> StoredLetter | None:
        found = found_by(letter_id)
        if found is None:
            return None
        grave, service_id = found
        with closing(self._all(grave)) as pages:
            message = next((one for page in pages for one in page if one.id == service_id), None)
        if message is None:
            return None
        letter = grave.letter(message)
        return letter if self.claims is None else replace(letter, body=self.claims.whole(letter.body))

    @override
    def replay(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        """See `DeadLetters`.

        Raises:
            PermanentError: one is no message of an exchange; says which, and none that lies there is put back.
        """
        return self._each(queue, letter_ids, until, self._put_back)

    @override
    def discard(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        return self._each(queue, letter_ids, until, _remove)

    def _all(self, grave: Grave) -> Generator[list[QueueMessage]]:
        """The messages in a place, each once."""
        count = self._count(grave)
        if count == 0:
            return
        if count <= AT_ONCE:
            with translated("peek", self.queues.named(grave.entity)):
                peeked = self.queues[grave.entity].peek_messages(AT_ONCE)
            if len(peeked) >= count:
                yield peeked
                return
        met: set[str] = set()
        for _ in range(_TRIES):
            with Walk(self.queues, grave.entity) as walk:
                for page in walk.pages():
                    yield [one for one in page if one.id not in met]
                    met.update(one.id for one in page)
                if walk.has_all():
                    return
            self.sleeper.sleep(_PAUSE)
        raise self._in_other_hands(grave)

    def _each(
        self, queue: QueueName, letter_ids: Collection[LetterId], until: datetime, end: _End
    ) -> Collection[LetterId]:
        done: list[LetterId] = []
        for grave in Grave.both(queue):
            left = grave.service_ids_in(letter_ids)
            if left and self._count(grave):
                done += [grave.id_of(one) for one in self._end_all(grave, left, until, end)]
        return done

    def _end_all(self, grave: Grave, wanted: Collection[str], until: datetime, end: _End) -> list[str]:
        """End those of the messages that are there; their ids."""
        left = set(wanted)
        ended: list[str] = []
        for _ in range(_TRIES):
            with Walk(self.queues, grave.entity) as walk:
                met = _met(walk, left)
                left -= {one.id for one in met if buried_at(one) > until}
                of_age = [one for one in _oldest_first(met) if one.id in left]
                ended += [one.id for one in end(walk, grave, of_age)]
                left -= set(ended)
                if not left or walk.has_all():
                    return ended
            self.sleeper.sleep(_PAUSE)
        raise self._in_other_hands(grave)

    def _put_back(self, walk: Walk, grave: Grave, messages: Sequence[QueueMessage]) -> Iterator[QueueMessage]:
        letters = [grave.letter(one) for one in messages]
        for letter in letters:
            check_replayable(letter)
        for message, letter in zip(messages, letters, strict=True):
            if self.claims is not None:
                self.claims.keep_anew(letter.body)
            if not walk.keep(message):
                continue  # it took so long that somebody else was handed it
            content = replace(Content.in_text(message.content), body=revived(letter.body), spent=0)
            self.queues.send(grave.queue, content, delay=_AT_ONCE, what=f"a replay of letter {letter.id!r}")
            walk.remove(message)
            yield message

    def _count(self, grave: Grave) -> int:
        """How many messages are there, hidden ones included; the service may say more, and never less."""
        with translated("count", self.queues.named(grave.entity)):
            try:
                return self.queues[grave.entity].get_queue_properties().approximate_message_count or 0
            except ResourceNotFoundError:
                if grave.by_host:
                    return 0
                raise

    def _in_other_hands(self, grave: Grave) -> TransientError:
        return TransientError(
            f"letters in {self.queues.named(grave.entity)} are hidden by somebody who looks through them, too, or who "
            f"has died on the way: they come back within {HIDDEN.seconds} seconds"
        )


def _met(walk: Walk, wanted: Collection[str]) -> list[QueueMessage]:
    """Those of the messages that are wanted, as far as nobody else has them in hand."""
    met: list[QueueMessage] = []
    for page in walk.pages():
        met += [one for one in page if one.id in wanted]
        if len(met) == len(wanted):
            break
    return met


def _oldest_first(messages: Sequence[QueueMessage]) -> list[QueueMessage]:
    return sorted(messages, key=buried_at)


def _remove(
    walk: Walk,
    grave: Grave,  # noqa: ARG001  # of any place
    messages: Sequence[QueueMessage],
) -> Iterator[QueueMessage]:
    return (one for one in messages if walk.remove(one))
