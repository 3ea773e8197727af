"""A queue: also what a subscription is, and what dead letters are in."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import MAXYEAR, UTC, datetime
from typing import Final
from uuid import UUID

from api_exchange_core.ports.clock import Clock
from api_exchange_testing.servicebus.model.duplicates import Duplicates
from api_exchange_testing.servicebus.model.locks import Locks
from api_exchange_testing.servicebus.model.message import Held, Lock, Message, State
from api_exchange_testing.servicebus.model.order import Order
from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError
from api_exchange_testing.servicebus.model.sessions import SessionLock, Sessions
from api_exchange_testing.servicebus.settings import Queue, Receivable

_NEVER: Final = datetime(MAXYEAR, 12, 31, tzinfo=UTC)


class MessageQueue:
    """Messages in order, each free, locked, deferred or scheduled.

    Each call first carries out what time has brought: locks that ran out, messages that became due or expired.

    Args:
        path: how receivers address it.
        dead_letters: where messages go that cannot be processed; None for a dead-letter queue, which keeps what it
            has for ever and hands it out as often as it is asked.
    """

    def __init__(
        self,
        path: str,
        settings: Receivable,
        *,
        clock: Clock,
        new_token: Callable[[], UUID],
        dead_letters: MessageQueue | None,
    ) -> None:
        self.path = path
        self.settings = settings
        self.dead_letters = dead_letters
        self.sessions = Sessions(settings.lock_duration, clock=clock, new_token=new_token)
        self._clock = clock
        lost = Condition.SESSION_LOCK_LOST if settings.requires_session else Condition.MESSAGE_LOCK_LOST
        self._locks = Locks(path, new_token, lost=lost)
        self._duplicates = Duplicates(settings.duplicate_window if isinstance(settings, Queue) else None)
        self._messages: dict[int, Held] = {}
        self._order = Order(lambda number: number in self._messages and self._messages[number].is_free())
        self._alarms: list[tuple[datetime, int]] = []
        self._last_number = 0

    def put(self, messages: Sequence[Message]) -> list[int]:
        """Take all of *messages* or none; their sequence numbers. A duplicate gets its original's number, and is gone.

        Raises:
            RefusedError: a message has no session id, and the queue requires one.
        """
        self.pass_time()
        for message in messages:
            if self.settings.requires_session and message.session_id is None:
                text = f"{self.path!r} requires sessions, and the message has no session id."
                raise RefusedError(Condition.NOT_ALLOWED, text)
        return [self._put(message) for message in messages]

    def take_over(self, held: Held, *, source: str) -> None:
        """Take a message from another queue, under a number of its own, with what it has been through."""
        dead = self._enter(held.message, State.ACTIVE)
        dead.delivery_count, dead.enqueued_at, dead.source = held.delivery_count, held.enqueued_at, source

    def receive(self, session: SessionLock | None = None) -> Held | None:
        """Lock the next free message; None if there is none. Of a session, if *session* is given and not lost."""
        number = self._next(session)
        if number is None:
            return None
        held = self._messages[number]
        self._lock(held, self._lock_end() if session is None else session.until)
        return held

    def take(self, session: SessionLock | None = None) -> Held | None:
        """Remove the next free message; None if there is none."""
        number = self._next(session)
        return None if number is None else self._messages.pop(number)

    def complete(self, token: UUID) -> None:
        """Remove a message.

        Raises:
            RefusedError: here and below: the lock is no longer there.
        """
        self._remove(self._unlocked(token))

    def abandon(self, token: UUID, changes: Mapping[str, object] | None = None) -> None:
        """Give a message back as failed, with *changes* of its properties."""
        held = self._unlocked(token)
        self._change(held, changes)
        self._fail(held)

    def release(self, token: UUID) -> None:
        """Give a message back untouched."""
        self._put_back(self._unlocked(token))

    def defer(self, token: UUID, changes: Mapping[str, object] | None = None) -> None:
        """Set a message aside, to be had by its number alone."""
        held = self._unlocked(token)
        self._change(held, changes)
        held.delivery_count += 1
        held.state = State.DEFERRED

    def dead_letter(
        self,
        token: UUID,
        *,
        reason: str | None = None,
        description: str | None = None,
        changes: Mapping[str, object] | None = None,
    ) -> None:
        """Move a message to the dead letters.

        Raises:
            RefusedError: it is one already.
        """
        if self.dead_letters is None:
            raise RefusedError(Condition.NOT_ALLOWED, f"A message in {self.path!r} is dead-lettered already.")
        held = self._unlocked(token)
        self._change(held, changes)
        self._bury(held, reason, description)

    def renew(self, tokens: Sequence[UUID]) -> list[datetime]:
        """Lock messages for another lock duration; all of them, or none."""
        if self.settings.requires_session:
            text = f"{self.path!r} locks sessions: renew the session's lock."
            raise RefusedError(Condition.NOT_ALLOWED, text)
        self.pass_time()
        end = self._lock_end()
        for held, token in [(self._locks.find(token), token) for token in tokens]:
            held.lock = Lock(token, end)
            self._alarm(end, held)
        return [end for _ in tokens]

    def deferred(self, numbers: Sequence[int], *, remove: bool = False) -> list[Held]:
        """Lock deferred messages, or remove them; all of them, or none.

        Raises:
            RefusedError: a message is not there, not deferred, or locked.
        """
        wanted = self._find(numbers, State.DEFERRED)
        if remove:
            for held in wanted:
                self._remove(held)
            return wanted
        for held, end in zip(wanted, [self._deferred_lock_end(held) for held in wanted], strict=True):
            self._lock(held, end)
        return wanted

    def cancel(self, numbers: Sequence[int]) -> None:
        """Remove scheduled messages; all of them, or none.

        Raises:
            RefusedError: a message is not there, or no longer scheduled.
        """
        for held in self._find(numbers, State.SCHEDULED):
            self._remove(held)

    def peek(self, start: int = 0, *, session_id: str | None = None) -> Iterator[Held]:
        """The messages from the number *start* on, locked, deferred and scheduled ones too, as they lie there."""
        self.pass_time()
        for held in list(self._messages.values()):
            if held.sequence_number >= start and session_id in (None, held.message.session_id):
                yield held

    def accept(self, session_id: str | None) -> SessionLock | None:
        """Lock a session; the one with the oldest waiting message for None, and None if none waits.

        Raises:
            RefusedError: another receiver holds it.
        """
        self.pass_time()
        if session_id is None:
            free = (each for each in self._order.sessions() if not self.sessions.is_locked(each))
            session_id = next(free, None)
        return None if session_id is None else self.sessions.lock(session_id)

    def leave(self, session: SessionLock) -> None:
        """Give a session back, and its messages untouched. Harmless if it was lost."""
        if self.sessions.release(session):
            for held in self._locked_in(session.session_id):
                self._put_back(held)

    def active_sessions(self) -> set[str]:
        """The sessions with a message that is not scheduled."""
        self.pass_time()
        return {
            held.message.session_id
            for held in self._messages.values()
            if held.message.session_id is not None and held.state is not State.SCHEDULED
        }

    def purge(self) -> int:
        """Remove all messages; how many there were."""
        there = list(self.peek())
        for held in there:
            self._remove(held)
        return len(there)

    def lose_locks(self) -> None:
        """Let all locks run out, of messages and sessions, as if their time were over."""
        for session_id in self.sessions.run_out(_NEVER):
            self._fail_session(session_id)
        for held in self._locks:
            self._fail(held)

    def pass_time(self) -> None:
        """Carry out what is due by now."""
        now = self._clock.now()
        for session_id in self.sessions.run_out(now):
            self._fail_session(session_id)
        while self._alarms and self._alarms[0][0] <= now:
            _, number = heapq.heappop(self._alarms)
            if number in self._messages:
                self._ring(self._messages[number], now)

    def next_alarm(self) -> datetime | None:
        """When `pass_time` will have something to do; None is never."""
        ends = [self.sessions.next_end(), self._alarms[0][0] if self._alarms else None]
        return min((end for end in ends if end is not None), default=None)

    def _next(self, session: SessionLock | None) -> int | None:
        self.pass_time()
        if session is None:
            return self._order.pop(None)
        return self._order.pop(session.session_id) if self.sessions.holds(session) else None

    def _find(self, numbers: Sequence[int], state: State) -> list[Held]:
        self.pass_time()
        for number in numbers:
            found = self._messages.get(number)
            if found is None or found.state is not state or found.lock is not None:
                text = f"{self.path!r} has no {state.name.lower()} message {number} that is not locked."
                raise RefusedError(Condition.MESSAGE_NOT_FOUND, text)
        return [self._messages[number] for number in dict.fromkeys(numbers)]

    def _put(self, message: Message) -> int:
        now = self._clock.now()
        original = self._duplicates.original(message.message_id, now)
        if original is not None:
            return original
        scheduled = message.scheduled_at is not None and message.scheduled_at > now
        held = self._enter(message, State.SCHEDULED if scheduled else State.ACTIVE)
        self._duplicates.remember(message.message_id, held.sequence_number, now)
        if scheduled and message.scheduled_at is not None:
            self._alarm(message.scheduled_at, held)
        return held.sequence_number

    def _enter(self, message: Message, state: State) -> Held:
        self._last_number += 1
        held = Held(message, self._last_number, self._clock.now(), state)
        self._messages[held.sequence_number] = held
        if state is State.ACTIVE:
            if self.dead_letters is not None:
                held.expires_at = message.end_of_life(held.enqueued_at, self.settings.default_time_to_live)
            if held.expires_at is not None:
                self._alarm(held.expires_at, held)
            self._put_back(held)
        return held

    def _ring(self, held: Held, now: datetime) -> None:
        if held.state is State.SCHEDULED:
            del self._messages[held.sequence_number]
            self._enter(held.message, State.ACTIVE)
        elif held.lock is not None:
            if held.lock.until <= now and not self.settings.requires_session:
                self._fail(held)
        elif held.state is State.ACTIVE and held.is_over(now):
            self._expire(held)

    def _put_back(self, held: Held) -> None:
        """Let a message be received, unless its time is over. A deferred one stays aside."""
        self._locks.remove(held)
        if held.state is not State.ACTIVE:
            return
        if held.is_over(self._clock.now()):
            self._expire(held)
        else:
            session_id = held.message.session_id if self.settings.requires_session else None
            self._order.add(held.sequence_number, session_id)

    def _expire(self, held: Held) -> None:
        if self.settings.dead_letter_on_expiry:
            self._bury(held, "TTLExpiredException", "The message expired and was dead lettered.")
        else:
            self._remove(held)

    def _fail(self, held: Held) -> None:
        held.delivery_count += 1
        if self.dead_letters is None or held.delivery_count < self.settings.max_delivery_count:
            self._put_back(held)
            return
        self._bury(
            held,
            "MaxDeliveryCountExceeded",
            f"Message could not be consumed after {self.settings.max_delivery_count} delivery attempts.",
        )

    def _fail_session(self, session_id: str) -> None:
        for held in self._locked_in(session_id):
            self._fail(held)

    def _locked_in(self, session_id: str) -> list[Held]:
        return [held for held in self._locks if held.message.session_id == session_id]

    def _bury(self, held: Held, reason: str | None, description: str | None) -> None:
        assert self.dead_letters is not None
        self._remove(held)
        told = {"DeadLetterReason": reason, "DeadLetterErrorDescription": description}
        self._change(held, {name: value for name, value in told.items() if value is not None})
        self.dead_letters.take_over(held, source=self.path)

    def _change(self, held: Held, changes: Mapping[str, object] | None) -> None:
        if changes:
            held.message = replace(held.message, properties={**held.message.properties, **changes})

    def _lock_end(self) -> datetime:
        return self._clock.now() + self.settings.lock_duration

    def _deferred_lock_end(self, held: Held) -> datetime:
        if self.settings.requires_session and held.message.session_id is not None:
            return self.sessions.held(held.message.session_id).until
        return self._lock_end()

    def _lock(self, held: Held, until: datetime) -> None:
        self._locks.add(held, until)
        self._alarm(until, held)

    def _unlocked(self, token: UUID) -> Held:
        self.pass_time()
        held = self._locks.find(token)
        self._locks.remove(held)
        return held

    def _remove(self, held: Held) -> None:
        self._locks.remove(held)
        self._messages.pop(held.sequence_number, None)

    def _alarm(self, when: datetime, held: Held) -> None:
        heapq.heappush(self._alarms, (when, held.sequence_number))
