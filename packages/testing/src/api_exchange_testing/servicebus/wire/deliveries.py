"""Hands messages to the clients that wait for them, and sessions to those that wait for one."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from api_exchange_core.ports.clock import Clock
from api_exchange_testing.servicebus.model.message import Held
from api_exchange_testing.servicebus.model.queue import MessageQueue
from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError
from api_exchange_testing.servicebus.model.sessions import SessionLock
from api_exchange_testing.servicebus.wire.envelope import encoded
from api_exchange_testing.servicebus.wire.link import Link


@dataclass(frozen=True, slots=True, eq=False)
class _Receiver:
    link: Link
    queue: MessageQueue
    session: SessionLock | None


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    link: Link
    queue: MessageQueue
    until: datetime


class Deliveries:
    """The receiving clients. Those of one queue take turns.

    Args:
        clock: the machine's time, by which clients wait.
    """

    def __init__(self, clock: Clock, *, max_message_size: int) -> None:
        self._clock = clock
        self._max_message_size = max_message_size
        self._receivers: defaultdict[MessageQueue, deque[_Receiver]] = defaultdict(deque)
        self._waiting: list[_Waiting] = []

    def add(self, link: Link, queue: MessageQueue) -> None:
        """Let a client receive; or wait, for a session that is not there yet.

        Raises:
            RefusedError: it wants a session and the queue has none, or the other way, or the session is taken.
        """
        if link.wants_session != queue.settings.requires_session:
            has = "requires sessions" if queue.settings.requires_session else "has no sessions"
            raise RefusedError(
                Condition.NOT_ALLOWED,
                f"{queue.path!r} {has}: a receiver must {'not ' * link.wants_session}accept one.",
            )
        if not link.wants_session:
            link.accept(max_message_size=self._max_message_size)
            self._receivers[queue].append(_Receiver(link, queue, None))
        elif not self._open(link, queue):
            self._waiting.append(_Waiting(link, queue, self._clock.now() + link.patience))

    def remove(self, link: Link) -> None:
        """A link is gone: its session is free again. Locks of messages stay until they run out."""
        self._waiting = [each for each in self._waiting if each.link is not link]
        for queue, receivers in list(self._receivers.items()):
            for each in [each for each in receivers if each.link is link]:
                receivers.remove(each)
                if each.session is not None:
                    queue.leave(each.session)
            if not receivers:
                del self._receivers[queue]

    def work(self) -> None:
        """Do what has become possible."""
        for waiting in list(self._waiting):
            self._offer_session(waiting)
        for queue, receivers in list(self._receivers.items()):
            self._end_lost_sessions(queue, receivers)
            self._deliver(queue, receivers)

    def next_alarm(self) -> datetime | None:
        """When the first waiting client gives up; None if none waits."""
        return min((each.until for each in self._waiting), default=None)

    def _offer_session(self, waiting: _Waiting) -> None:
        if self._open(waiting.link, waiting.queue):
            self._waiting.remove(waiting)
        elif waiting.until <= self._clock.now():
            self._waiting.remove(waiting)
            text = f"The operation did not complete in time: no session of {waiting.queue.path!r} is free."
            waiting.link.refuse(RefusedError(Condition.TIMEOUT, text))

    def _open(self, link: Link, queue: MessageQueue) -> bool:
        session = queue.accept(link.session_id)
        if session is None:
            return False
        link.accept(max_message_size=self._max_message_size, session=(session.session_id, session.until))
        self._receivers[queue].append(_Receiver(link, queue, session))
        return True

    def _end_lost_sessions(self, queue: MessageQueue, receivers: deque[_Receiver]) -> None:
        for each in list(receivers):
            if each.session is not None and not queue.sessions.holds(each.session):
                receivers.remove(each)
                text = (
                    f"The session lock of {each.session.session_id!r} has expired. Accept the session again."
                )
                each.link.close(RefusedError(Condition.SESSION_LOCK_LOST, text))

    def _deliver(self, queue: MessageQueue, receivers: deque[_Receiver]) -> None:
        idle = 0
        while idle < len(receivers):
            receiver = receivers[0]
            receivers.rotate(-1)
            idle = 0 if _serve(queue, receiver) else idle + 1
        for receiver in receivers:
            receiver.link.end_drain()


def _serve(queue: MessageQueue, receiver: _Receiver) -> bool:
    """Send one message, if there is one and it is wanted."""
    if receiver.link.credit <= 0:
        return False
    deletes = receiver.link.deletes
    held: Held | None = queue.take(receiver.session) if deletes else queue.receive(receiver.session)
    if held is None:
        return False
    tag = uuid4() if held.lock is None else held.lock.token
    receiver.link.send(encoded(held), tag, settled=deletes)
    return True
