"""Dead letters in queues of SQS."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from typing_extensions import override

from api_exchange_aws.sqs import batches
from api_exchange_aws.sqs.letters import FoundLetter
from api_exchange_aws.sqs.put_aside import PutAside
from api_exchange_aws.sqs.queues import Queue, Queues
from api_exchange_aws.sqs.walk import TIME_TO_MOVE, Counts, Walk
from api_exchange_core.adapters.claim_check.queues import ClaimCheck
from api_exchange_core.domain.dead_letter import LetterId, StoredLetter, check_replayable
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import DEAD_LETTER_SUFFIX, QueueName, dead_letter_queue
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.dead_letters import DeadLetters
from api_exchange_core.ports.leases import Leases
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.queue_inspector import QueueInspector
from api_exchange_core.ports.sleeper import Sleeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_sqs import SQSClient

_PAGE: Final = 100
"""Letters in memory at a time; each may have a megabyte."""

_IN_MEMORY: Final = 16 * 1024 * 1024
"""Bytes of letters put aside; more are put into a file without a name, which nobody else can open."""

_A_SECOND: Final = timedelta(seconds=1)
_BETWEEN_TRIES: Final = timedelta(milliseconds=200)
_TRIES: Final = 150


@dataclass(frozen=True, slots=True)
class SqsDeadLetters(DeadLetters):
    """The letters in ``<prefix><queue>-dlq`` or ``<prefix><queue>-dlq.fifo``. A letter's id is SQS's MessageId.

    SQS shows a message only to whoever receives it, and to nobody else meanwhile. So letters are received one after the
    other, hidden for as long as that can take (a minute, and 50 ms for each), and given back: for a scan all of a
    queue, otherwise until those that are asked for have come. One operator at a time goes through a queue, or each
    would see what the other has not in hand; another waits for half a minute, and is then told. What a dead process had
    in hand comes back by itself, and its turn ends with that.

    SQS hands out 120,000 messages of a queue, and ten of a group of a FIFO queue; the next ones when these are gone for
    good. Letters that the framework buries are each a group of their own. Nor is seen what others have in hand, such as
    AWS's console. A scan tells the observer about how many letters it has not seen. A replay or discard that misses a
    letter while others have some in hand does nothing, and says so.

    To see a letter counts as a receive. The observer hears of a dead-letter queue with a redrive policy of its own:
    that moves on what was looked at so often.

    What SQS has moved here by itself keeps its id and, in a standard queue, the time at which it was first sent.

    Args:
        client: of SQS. It takes the rights ``sqs:GetQueueAttributes``, ``sqs:ReceiveMessage``,
            ``sqs:ChangeMessageVisibility`` and ``sqs:DeleteMessage`` on dead-letter queues, ``sqs:SendMessage`` on
            those that letters go back to, and what the *inspector* takes.
        queues: finds them.
        inspector: tells in which queues a letter may be.
        leases: keep operators apart.
        clock: tells the time.
        sleeper: waits for a turn.
        observer: hears what is not as it should be.
        claims: contents that are kept apart from their messages; None if nowhere is a place for them.
        wait: how long a receive may wait for the first message. SQS looks at all its servers only if it may wait.
    """

    client: SQSClient
    queues: Queues
    inspector: QueueInspector
    leases: Leases
    clock: Clock
    sleeper: Sleeper
    observer: Observer
    claims: ClaimCheck | None = None
    wait: timedelta = _A_SECOND

    @override
    def scan(self, queue: QueueName, *, until: datetime) -> Iterator[Sequence[StoredLetter]]:
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as bodies:
            letters = PutAside(bodies)
            with self._walk(queue) as walk:
                for found in _letters(walk, queue):
                    if found.stored.buried_at <= until:
                        letters.add(found.stored)
                unseen = walk.unseen()
            if unseen > 0:
                self.observer.event("dead_letters.unseen", queue=queue, about=unseen)
            yield from letters.pages(_PAGE)

    @override
    def get(self, letter_id: LetterId) -> StoredLetter | None:
        if not _is_id(letter_id):
            return None
        unsure: TransientError | None = None
        for name in sorted(self.inspector.depths()):
            if name.endswith(DEAD_LETTER_SUFFIX):
                queue = QueueName(name.removesuffix(DEAD_LETTER_SUFFIX))
                try:
                    with self._walk(queue) as walk:
                        found = _find(walk, queue, {letter_id})
                except TransientError as error:
                    unsure = error  # it may be in another queue
                    continue
                if found:
                    return self._whole(found[0].stored)
        if unsure is not None:
            raise unsure
        return None

    @override
    def replay(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        target = self.queues[queue]

        def send_back(walk: Walk, letters: Sequence[FoundLetter]) -> None:
            sent = batches.send(self.client, target, [one.replay(target) for one in letters])
            walk.remove([letters[place].stored.id for place in sent.stored])
            if sent.error is not None:
                raise sent.error
            for refused in sent.refused:
                raise refused.error(
                    f"sqs:SendMessage to {target} of letter {letters[refused.place].stored.id!r}"
                )

        return self._move(queue, letter_ids, until, prepare=self._prepare_replay, move=send_back)

    @override
    def discard(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        return self._move(
            queue,
            letter_ids,
            until,
            prepare=lambda _: None,
            move=lambda walk, letters: walk.remove([one.stored.id for one in letters]),
        )

    def _whole(self, letter: StoredLetter) -> StoredLetter:
        return letter if self.claims is None else replace(letter, body=self.claims.whole(letter.body))

    def _prepare_replay(self, letters: Sequence[FoundLetter]) -> None:
        for letter in letters:
            check_replayable(letter.stored)
        if self.claims is not None:
            for letter in letters:
                self.claims.keep_anew(letter.stored.body)

    def _move(
        self,
        queue: QueueName,
        letter_ids: Collection[LetterId],
        until: datetime,
        *,
        prepare: Callable[[Sequence[FoundLetter]], None],
        move: Callable[[Walk, Sequence[FoundLetter]], None],
    ) -> Collection[LetterId]:
        ids = [id_ for id_ in dict.fromkeys(letter_ids) if _is_id(id_)]
        moved: set[LetterId] = set()
        for start in range(0, len(ids), _PAGE):
            with self._walk(queue) as walk:
                found = _find(walk, queue, set(ids[start : start + _PAGE]))
                there = [one for one in found if one.stored.buried_at <= until]
                prepare(there)
                walk.claim([one.stored.id for one in there])
                move(walk, there)
                moved |= {one.stored.id for one in there}
        return moved

    @contextmanager
    def _walk(self, queue: QueueName) -> Iterator[Walk]:
        """Go through the letters of *queue*, alone."""
        buried = self.queues[dead_letter_queue(queue)]
        counts = Counts.of(self.client, buried)
        if counts.redrives:
            self.observer.event("dead_letters.redrive_policy", queue=buried.name)
        with self._turn(buried, counts.time):
            walk = Walk(
                self.client, buried, self.clock, self.wait, counts.messages, self.clock.now() + counts.time
            )
            try:
                yield walk
            finally:
                walk.give_back()

    @contextmanager
    def _turn(self, buried: Queue, time: timedelta) -> Iterator[None]:
        name, owner = f"dead letters in {buried.name}", str(uuid4())
        for _ in range(_TRIES):
            now = self.clock.now()
            if self.leases.take(name, owner=owner, now=now, until=now + time + TIME_TO_MOVE):
                break
            self.sleeper.sleep(_BETWEEN_TRIES)
        else:
            raise TransientError(
                f"somebody else goes through the letters in {buried}, or has died doing so: at most {time} after that "
                "they can be gone through again"
            )
        try:
            yield
        finally:
            with suppress(TransientError):  # it ends by itself
                self.leases.release(name, owner=owner)


def _letters(walk: Walk, queue: QueueName) -> Iterator[FoundLetter]:
    for messages in walk.messages():
        yield from (FoundLetter.of(queue, message) for message in messages)


def _find(walk: Walk, queue: QueueName, ids: Collection[LetterId]) -> list[FoundLetter]:
    """The letters of *ids* that are there, in the order in which they were buried.

    Raises:
        TransientError: some may be in the hands of others.
    """
    found: dict[LetterId, FoundLetter] = {}
    for letter in _letters(walk, queue):
        if letter.stored.id in ids:
            found[letter.stored.id] = letter
            if len(found) == len(ids):
                break
    if len(found) < len(ids) and (others := walk.of_others()) > 0:
        raise TransientError(
            f"about {others:,} letters in {walk.queue} are in the hands of others, such as AWS's console, and may be "
            "the ones that were asked for: nothing was done"
        )
    return sorted(found.values(), key=lambda one: one.stored.buried_at)


def _is_id(letter_id: str) -> bool:
    try:
        return str(UUID(letter_id)) == letter_id
    except ValueError:
        return False
