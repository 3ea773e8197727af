"""Receiving from a queue that requires sessions: the messages of a session one after the other, many side by side."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final

from azure.servicebus import NEXT_AVAILABLE_SESSION
from azure.servicebus.exceptions import OperationTimeoutError

from api_exchange_azure.errors import translated
from api_exchange_azure.servicebus.link import Handed, Link
from api_exchange_core.domain.errors import ExchangeError
from api_exchange_core.domain.names import QueueName

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusClient

MOST_WAITING: Final = 64
"""How many sessions a process holds while their first message waits to be tried again; each takes a connection."""

TURN: Final = 20
"""How many messages of a session are handed out before it is given back, so that others have their turn."""

_AT_ONCE: Final = 8
_MORE: Final = timedelta(seconds=1)
"""How long is waited for a second session, when one has been found, and for the first message of one."""
_NEXT: Final = timedelta(seconds=0.25)
"""How long is waited for the next message of a session; that of one given back too early comes with the next accept."""


@dataclass(slots=True, eq=False)
class _Session:
    """A session that this process has accepted.

    Args:
        link: to it alone.
        handed: the message that is worked on, or waits; None between two.
        turns: how many messages it may still give.
        is_new: none has been received of it.
        due_at: when its message is to be handed out again; None if it does not wait.
        counts: whether that was an attempt.
        times_back: how often its message was handed out again without the broker, which gives no new receipt then.
        renewed_at: when its lock was known to be whole.
    """

    link: Link
    renewed_at: datetime
    turns: int
    is_new: bool = True
    handed: Handed | None = None
    due_at: datetime | None = None
    counts: bool = False
    times_back: int = 0


@dataclass(slots=True, eq=False)
class SessionSource:
    """The sessions of one queue.

    Of a session one message is out at a time: what comes behind it is received once it has ended. A message that is to
    be tried again later stays locked, and its session with it, so that nothing overtakes it; the lock is renewed with
    each receive. When more than *most_waiting* wait, those that are due first come early. Whatever this process holds
    when it ends comes back: at once and uncounted if it closes, else with the end of the lock.

    Args:
        client: of the namespace.
        queue: its portable name.
        path: as Service Bus has it.
        wait: how long to wait for a session.
        turn: how many messages of one are handed out before others have their turn.
        most_waiting: how many are held while they wait.
    """

    client: ServiceBusClient
    queue: QueueName
    path: str
    wait: timedelta
    turn: int = TURN
    most_waiting: int = MOST_WAITING
    _resting: list[_Session] = field(default_factory=list, repr=False)
    _out: dict[Handed, _Session] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_AT_ONCE), repr=False)
    _closing: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_AT_ONCE), repr=False)

    def receive(self, most: int, now: datetime) -> list[Handed]:
        """The next message of up to *most* sessions: of those that are here, and else of others.

        Raises:
            PermanentError, TransientError: the queue may not be received from, or not now. What was found by then
                comes with the next receive.
        """
        self.keep(now)
        handed = self._given(self._ready(most, now))
        asked = 1
        while len(handed) < most:
            # One first: that there is a second, and a fourth, is not worth a connection before there is a first.
            asked = min(asked, most - len(handed), _AT_ONCE)
            try:
                found = self._accept(asked, now, self.wait if not handed else min(self.wait, _MORE))
            except ExchangeError:
                for one in handed:
                    self.hold(one, until=now, counts=False)
                raise
            handed += self._given(found)
            if len(found) < asked:
                break
            asked *= 2
        return handed

    def keep(self, now: datetime) -> None:
        """Renew the locks of sessions that wait and are half over; give back what is lost or out of reach."""
        with self._lock:
            waiting = [(one, one.handed) for one in self._resting if one.handed is not None]
        for session, handed in waiting:
            until = session.link.until(handed.message, now=now)
            if until - now > (until - session.renewed_at) / 2:
                continue
            if _renewed(handed):
                session.renewed_at = now
            else:
                self._give_up(session)

    def hold(self, one: Handed, *, until: datetime, counts: bool) -> None:
        """Hand *one* out again not before *until*, and nothing behind it; as another attempt if it *counts*."""
        with self._lock:
            session = self._out.pop(one, None)
            if session is not None:
                session.due_at, session.counts = until, counts
                self._resting.append(session)

    def ended(self, one: Handed) -> None:
        """*One* is settled, or back in its place: the next of its session may come."""
        with self._lock:
            session = self._out.pop(one, None)
            if session is None:
                return
            session.handed, session.due_at, session.times_back = None, None, 0
            if session.turns > 0 and one.received.keeps_order:
                self._resting.append(session)
                return
        self._leave(session)

    def lost(self, one: Handed) -> None:
        """What became of *one* is not known: its session is given back."""
        with self._lock:
            session = self._out.pop(one, None)
        if session is not None:
            self._leave(session)

    def close(self) -> None:
        """Give all sessions back, with what is locked in them, untouched."""
        with self._lock:
            sessions = [*self._resting, *self._out.values()]
            self._resting.clear()
            self._out.clear()
        for session in sessions:
            self._leave(session)
        self._pool.shutdown()
        self._closing.shutdown()

    def _ready(self, most: int, now: datetime) -> list[_Session]:
        """Up to *most* of the sessions here that may give a message, which nobody else takes then."""
        with self._lock:
            waiting = sorted(
                (one for one in self._resting if one.due_at is not None), key=lambda one: one.due_at or now
            )
            early = max(0, len(waiting) - self.most_waiting)
            due = [one for place, one in enumerate(waiting) if place < early or (one.due_at or now) <= now]
            ready = [*due, *(one for one in self._resting if one.due_at is None)][:most]
            self._resting = [one for one in self._resting if one not in ready]
        return ready

    def _given(self, sessions: Sequence[_Session]) -> list[Handed]:
        return [one for one in self._pool.map(self._next, sessions) if one is not None]

    def _next(self, session: _Session) -> Handed | None:
        """The message that a session gives now; None if there is none, and the session is given back."""
        try:
            handed = self._waited(session) if session.handed is not None else self._fresh(session)
        except ExchangeError:
            handed = None  # the link has failed: whoever accepts the session next has what is in it
        if handed is None:
            self._leave(session)
            return None
        session.handed, session.due_at = handed, None
        with self._lock:
            self._out[handed] = session
        return handed

    def _waited(self, session: _Session) -> Handed | None:
        """The message that has waited: anew from the broker if the attempt counts, else as it is."""
        handed = session.handed
        if handed is None:
            return None
        if session.counts:
            session.times_back = 0
            return self._fresh(session) if session.link.abandon(handed.message) else None
        if not session.link.renew(handed.message):
            return None
        session.times_back += 1
        receipt = f"{handed.message.lock_token}#{session.times_back}"
        return Handed(replace(handed.received, receipt=receipt), handed.message, handed.link)

    def _fresh(self, session: _Session) -> Handed | None:
        messages = session.link.receive(1, _MORE if session.is_new else _NEXT)
        session.is_new = False
        session.turns -= 1
        return Handed.of(self.queue, messages[0], session.link) if messages else None

    def _accept(self, most: int, now: datetime, wait: timedelta) -> list[_Session]:
        """Up to *most* sessions that nobody has, for which it waits side by side."""
        asked = [self._pool.submit(self._accepted, now, wait) for _ in range(most)]
        errors = [one.exception() for one in asked]
        found = [one.result() for one, error in zip(asked, errors, strict=True) if error is None]
        accepted = [session for session in found if session is not None]
        for error in errors:
            if error is not None and not accepted:
                raise error
        return accepted

    def _accepted(self, now: datetime, wait: timedelta) -> _Session | None:
        receiver = self.client.get_queue_receiver(
            self.path, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=wait.total_seconds()
        )
        named = f"queue {self.path!r}"
        with translated("accept a session", named):
            try:
                receiver.__enter__()
            except OperationTimeoutError:
                return None  # none has messages, or others have them all
        return _Session(Link(receiver, named), renewed_at=now, turns=self.turn)

    def _give_up(self, session: _Session) -> None:
        with self._lock:
            if session not in self._resting:
                return  # another thread has it in hand, and finds out
            self._resting.remove(session)
        self._leave(session)

    def _leave(self, session: _Session) -> None:
        # To close a link takes half a second, for which nobody has to wait.
        self._closing.submit(session.link.receiver.close)


def _renewed(handed: Handed) -> bool:
    try:
        return handed.link.renew(handed.message)
    except ExchangeError:
        return False  # the link has failed, and with it what it held
