"""Jobs on dead letters: what was ordered, by whom, and what became of each letter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from api_exchange_core.domain.dead_letter import Letter, LetterFilter, LetterId
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.names import MAX_IDENTIFIER, FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.domain.pace import Pace

JobId = NewType("JobId", int)


class JobAction(StrEnum):
    """What is done with the letters."""

    REPLAY = "replay"
    DISCARD = "discard"


class ItemState(StrEnum):
    """Where a job is with a letter."""

    WAITING = "waiting"
    BEGUN = "begun"
    """In hand: of a job that nobody carries out, what was in hand when it was interrupted."""
    REPLAYED = "replayed"
    DISCARDED = "discarded"
    GONE = "gone"
    """Not there any more when its turn came: somebody else took it, or it expired. Nothing was done."""
    UNCONFIRMED = "unconfirmed"
    """In hand when the job was interrupted, and not there any more afterwards: done most likely, or gone."""
    REFUSED = "refused"
    """No message of an exchange: a replay would bury it again, so it stays where it is. Nothing was done."""


OPEN_STATES = (ItemState.WAITING, ItemState.BEGUN)
"""The states of items that are still to be carried out."""

DONE: Mapping[JobAction, ItemState] = {
    JobAction.REPLAY: ItemState.REPLAYED,
    JobAction.DISCARD: ItemState.DISCARDED,
}
"""How a letter ends on which its job has done its work."""


class JobState(StrEnum):
    """Where a job is."""

    SELECTING = "selecting"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOrder:
    """What is ordered.

    Args:
        action: what to do.
        filter: with which letters.
        by: who orders it, for the books.
        pace: how fast; None is as fast as it goes.
        most: with so many letters at most, queue by queue and the oldest first; None is all.

    Raises:
        DeclarationError: nobody orders it, or not even one letter.
    """

    action: JobAction
    filter: LetterFilter
    by: str
    pace: Pace | None = None
    most: int | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.by) <= MAX_IDENTIFIER or not self.by.isprintable():
            raise DeclarationError(
                f"who orders a job is told in 1 to {MAX_IDENTIFIER} printable characters, not {self.by!r}"
            )
        if self.most is not None and self.most < 1:
            raise DeclarationError(f"a job is for one letter at least, not for {self.most}")

    def refuses(self, letter: Letter) -> bool:
        """Whether *letter* is left where it is, since a replay would bury it again."""
        return self.action is JobAction.REPLAY and not letter.replayable


@dataclass(frozen=True, slots=True, kw_only=True)
class JobItem:
    """A letter of a job's selection.

    Args:
        queue, letter_id: which.
        tenant_id, message_id: of its message, for the books.
        given_up_by: the function that is to let the message run again before it is replayed (`Letter.given_up_by`).
        state: where the job is with it.
        ended_at: since when it is there for good.
    """

    queue: QueueName
    letter_id: LetterId
    tenant_id: TenantId | None
    message_id: MessageId | None
    given_up_by: FunctionName | None = None
    state: ItemState = ItemState.WAITING
    ended_at: datetime | None = None

    @classmethod
    def of(cls, letter: Letter, order: JobOrder, *, now: datetime) -> JobItem:
        """*letter* in the selection of *order* that is made now; at its end already if it is refused."""
        refused = order.refuses(letter)
        return cls(
            queue=letter.queue,
            letter_id=letter.id,
            tenant_id=letter.tenant_id,
            message_id=letter.message_id,
            given_up_by=letter.given_up_by,
            state=ItemState.REFUSED if refused else ItemState.WAITING,
            ended_at=now if refused else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is now.

    Args:
        id: what people call it by.
        order: what was ordered.
        ordered_at: when. Letters that arrived later are none of its business.
        counts: letters of its selection in each state that any is in.
        frozen: the selection is complete, and nothing is added any more.
        held_until: somebody carries it out, and is given up if not heard of until then; None if nobody does.
        finished_at: when it came to its end.
    """

    id: JobId
    order: JobOrder
    ordered_at: datetime
    counts: Mapping[ItemState, int]
    frozen: bool = False
    held_until: datetime | None = None
    finished_at: datetime | None = None

    @property
    def selected(self) -> int:
        """Letters in its selection."""
        return sum(self.counts.values())

    @property
    def left(self) -> int:
        """Letters that are still to be carried out."""
        return sum(self.counts.get(state, 0) for state in OPEN_STATES)

    def state(self, now: datetime) -> JobState:
        """Where it is at *now*."""
        if self.finished_at is not None:
            return JobState.FINISHED
        if self.held_until is None or self.held_until <= now:
            return JobState.INTERRUPTED
        return JobState.RUNNING if self.frozen else JobState.SELECTING
