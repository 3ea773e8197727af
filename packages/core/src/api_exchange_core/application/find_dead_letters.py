"""Finding dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice

from api_exchange_core.domain.dead_letter import Letter, LetterFilter, LetterId, StoredLetter
from api_exchange_core.domain.names import DEAD_LETTER_SUFFIX, FunctionName, QueueName, dead_letter_queue
from api_exchange_core.ports.dead_letters import DeadLetters
from api_exchange_core.ports.queue_inspector import QueueInspector

Advance = Callable[[int], None]
"""Told how many more are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterGroup:
    """The letters of one queue that one function gave up with errors of one name.

    Args:
        queue, function, code: which; None of both for letters without failure block.
        letters: how many.
        oldest, newest: since when they lie there.
        replayed: how many of them were put back before, and came again.
        errors: how many different errors they are, by place and cause (fingerprint).
        reason: the most frequent text.
    """

    queue: QueueName
    function: FunctionName | None
    code: str | None
    letters: int
    oldest: datetime
    newest: datetime
    replayed: int
    errors: int
    reason: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class FindDeadLetters:
    """Looks through the dead letters of all queues, and changes nothing."""

    letters: DeadLetters
    queues: QueueInspector

    def depths(self, filter_: LetterFilter) -> dict[QueueName, int]:
        """How many letters lie in each queue that *filter_* may find some in, by the queue's name."""
        depths = self.queues.depths()
        if filter_.queue is not None:
            return {filter_.queue: depths.get(dead_letter_queue(filter_.queue), 0)}
        return {
            QueueName(name.removesuffix(DEAD_LETTER_SUFFIX)): depths[name]
            for name in sorted(depths)
            if name.endswith(DEAD_LETTER_SUFFIX)
        }

    def pages(
        self, filter_: LetterFilter, *, until: datetime, advance: Advance = lambda _: None
    ) -> Iterator[Sequence[Letter]]:
        """What *filter_* takes of the letters that are there since *until* or longer, queue by queue, oldest first.

        Args:
            filter_: which.
            until: the moment of the selection.
            advance: hears of the letters looked at, `depths` of them in all.

        Raises:
            TransientError: the transport could not be reached.
        """
        for page in self._stored(filter_, until):
            advance(len(page))
            found = [letter for letter in map(Letter.of, page) if filter_.takes(letter)]
            if found:
                yield found

    def find(
        self,
        filter_: LetterFilter,
        *,
        until: datetime,
        most: int | None = None,
        advance: Advance = lambda _: None,
    ) -> Iterator[Letter]:
        """The letters of `pages`, the first *most* of them or all."""
        pages = self.pages(filter_, until=until, advance=advance)
        return islice(chain.from_iterable(pages), most)

    def get(self, letter_id: LetterId) -> StoredLetter | None:
        """The letter; None if there is none of that id."""
        return self.letters.get(letter_id)

    def _stored(self, filter_: LetterFilter, until: datetime) -> Iterator[Sequence[StoredLetter]]:
        if filter_.ids:
            named = (self.letters.get(id_) for id_ in dict.fromkeys(filter_.ids))
            yield [letter for letter in named if letter is not None and letter.buried_at <= until]
            return
        for queue in self.depths(filter_):
            yield from self.letters.scan(queue, until=until)


def grouped(letters: Iterable[Letter]) -> Sequence[LetterGroup]:
    """What *letters* are, by queue, function and error; the largest groups of a queue first."""
    tallies: dict[tuple[QueueName, FunctionName | None, str | None], _Tally] = {}
    for letter in letters:
        failure = letter.failure
        function = None if failure is None else FunctionName(failure.function)
        key = (letter.queue, function, letter.code)
        tallies.setdefault(key, _Tally(letter.buried_at, letter.buried_at)).add(letter)
    groups = [tally.group(*key) for key, tally in tallies.items()]
    return sorted(groups, key=lambda group: (group.queue, -group.letters))


@dataclass(slots=True)
class _Tally:
    oldest: datetime
    newest: datetime
    letters: int = 0
    replayed: int = 0
    fingerprints: set[str] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, letter: Letter) -> None:
        self.letters += 1
        self.oldest = min(self.oldest, letter.buried_at)
        self.newest = max(self.newest, letter.buried_at)
        self.replayed += letter.replays > 0
        if letter.failure is not None:
            self.fingerprints.add(letter.failure.fingerprint)
            self.reasons[letter.failure.reason] += 1

    def group(self, queue: QueueName, function: FunctionName | None, code: str | None) -> LetterGroup:
        most_frequent = self.reasons.most_common(1)
        return LetterGroup(
            queue=queue,
            function=function,
            code=code,
            letters=self.letters,
            oldest=self.oldest,
            newest=self.newest,
            replayed=self.replayed,
            errors=len(self.fingerprints),
            reason=most_frequent[0][0] if most_frequent else None,
        )
