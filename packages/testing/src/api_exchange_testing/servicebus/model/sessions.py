"""Sessions of a queue: who holds which, until when, and the state that receivers leave in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from api_exchange_core.ports.clock import Clock
from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError


@dataclass(slots=True, eq=False)
class SessionLock:
    """One receiver's right to a session.

    Attributes:
        until: moves on when the lock is renewed.
    """

    session_id: str
    token: UUID
    until: datetime


class Sessions:
    """The locked sessions of a queue, and the state of its sessions."""

    def __init__(self, lock_duration: timedelta, *, clock: Clock, new_token: Callable[[], UUID]) -> None:
        self._clock = clock
        self._lock_duration = lock_duration
        self._new_token = new_token
        self._locks: dict[str, SessionLock] = {}
        self._states: dict[str, tuple[bytes, datetime]] = {}

    def lock(self, session_id: str) -> SessionLock:
        """Lock a session.

        Raises:
            RefusedError: another receiver holds it.
        """
        if session_id in self._locks:
            raise RefusedError(
                Condition.SESSION_TAKEN,
                f"The requested session {session_id!r} cannot be accepted. It may be locked by another receiver.",
            )
        lock = SessionLock(session_id, self._new_token(), self._clock.now() + self._lock_duration)
        self._locks[session_id] = lock
        return lock

    def is_locked(self, session_id: str) -> bool:
        """Whether a receiver holds it."""
        return session_id in self._locks

    def holds(self, lock: SessionLock) -> bool:
        """Whether *lock* is still the one."""
        return self._locks.get(lock.session_id) is lock

    def held(self, session_id: str) -> SessionLock:
        """The lock of a session.

        Raises:
            RefusedError: nobody holds it.
        """
        lock = self._locks.get(session_id)
        if lock is None or lock.until <= self._clock.now():
            raise RefusedError(
                Condition.SESSION_LOCK_LOST,
                f"The session lock of {session_id!r} has expired. Accept the session again.",
            )
        return lock

    def renew(self, session_id: str) -> datetime:
        """Hold a session for another lock duration from now; until when.

        Raises:
            RefusedError: nobody holds it.
        """
        lock = self.held(session_id)
        lock.until = self._clock.now() + self._lock_duration
        return lock.until

    def release(self, lock: SessionLock) -> bool:
        """Give a session back; False if it was lost already."""
        if not self.holds(lock):
            return False
        del self._locks[lock.session_id]
        return True

    def run_out(self, now: datetime) -> list[str]:
        """Take away the locks whose time is over; the sessions that lost theirs."""
        over = [session_id for session_id, lock in self._locks.items() if lock.until <= now]
        for session_id in over:
            del self._locks[session_id]
        return over

    def next_end(self) -> datetime | None:
        """When the first lock runs out; None without one."""
        return min((lock.until for lock in self._locks.values()), default=None)

    def state(self, session_id: str) -> bytes | None:
        """What a receiver left in the session; None if nothing.

        Raises:
            RefusedError: nobody holds it.
        """
        found = self._states.get(self.held(session_id).session_id)
        return None if found is None else found[0]

    def set_state(self, session_id: str, state: bytes | None) -> None:
        """Leave *state* in the session, or nothing.

        Raises:
            RefusedError: nobody holds it.
        """
        self.held(session_id)
        if state is None:
            self._states.pop(session_id, None)
        else:
            self._states[session_id] = (state, self._clock.now())

    def with_state(self, *, since: datetime | None = None) -> set[str]:
        """The sessions that have a state, if any was set after *since*."""
        return {
            session_id for session_id, (_, set_at) in self._states.items() if since is None or set_at > since
        }
