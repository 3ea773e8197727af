"""One thread of the process that renews what is in hand while processors work on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta

from typing_extensions import override

from api_exchange_core.application.call import loggable
from api_exchange_core.application.claims import Keeper
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.observer import Observer

_CLOSE_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class _Renewal:
    """Something to renew: how, how often in seconds, and when next and last by the heartbeat's time."""

    renew: Callable[[], None]
    every: float
    due: float
    until: float


class Heartbeat:
    """Renews whatever has asked for it, each at its own pace.

    The thread starts with the first that asks, and ends when it wakes and finds nothing to renew; a batch that is done
    before its first renewal costs it nothing. It does not keep the process alive. A renewal that fails is told and
    comes again at its next turn; what is renewed at a third of its time stands two of them that fail.

    Args:
        observer: hears of renewals that failed.
        now: seconds of a clock that is never set.
    """

    def __init__(self, observer: Observer, now: Callable[[], float] = time.monotonic) -> None:
        self._observer = observer
        self._now = now
        self._renewals: list[_Renewal] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0
        self._closed = False

    @contextmanager
    def beating(self, renew: Callable[[], None], *, every: timedelta, until: float) -> Iterator[None]:
        """Within the block, call *renew* each *every*, up to the time *until* at the longest.

        Once the block has ended *renew* is called no more, save for one that was under way.
        """
        seconds = every.total_seconds()
        renewal = _Renewal(renew, seconds, self._now() + seconds, until)
        with self._changed:
            self._renewals.append(renewal)
            self._wake_by(renewal.due)
        try:
            yield
        finally:
            with self._changed:
                self._renewals.remove(renewal)

    def beat(self) -> None:
        """Renew what is due."""
        now = self._now()
        with self._changed:
            due = [one for one in self._renewals if one.due <= now < one.until]
            for one in due:
                one.due = now + one.every
        for one in due:
            self._renew(one)

    def close(self) -> None:
        """Renew nothing more, and wait for the thread to end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(_CLOSE_SECONDS)

    @property
    def now(self) -> float:
        """The time by which it beats, in seconds."""
        return self._now()

    def _renew(self, renewal: _Renewal) -> None:
        try:
            renewal.renew()
        except Exception as error:  # noqa: BLE001 - the last frame we own: without its thread nothing is renewed any more
            self._observer.event("claims.not_renewed", **loggable(error))

    def _wake_by(self, due: float) -> None:
        if self._thread is None and not self._closed:
            self._wakes_at = due
            self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
            self._thread.start()
        elif due < self._wakes_at:
            self._wakes_at = due
            self._changed.notify()

    def _run(self) -> None:
        while self._sleep():
            self.beat()

    def _sleep(self) -> bool:
        """Wait until a renewal is due; False if there will be none, and the thread is to end."""
        with self._changed:
            while not self._closed and (due := self._next_due()) is not None:
                self._wakes_at = due
                if (wait := self._wakes_at - self._now()) <= 0:
                    return True
                self._changed.wait(wait)
            self._thread = None
            return False

    def _next_due(self) -> float | None:
        """When something is to be renewed; what a process that stood still has missed to the end never is."""
        now = self._now()
        return min((one.due for one in self._renewals if max(one.due, now) < one.until), default=None)


class BatchKeeper(Keeper):
    """Keeps one batch of deliveries.

    Args:
        heartbeat: renews.
        consumer: handed the deliveries out.
        deliveries: what is in hand.
        visibility: how long they were received for, and are each time renewed for.
        max_run: after so long nothing is renewed any more: a processor that hangs loses its messages.
    """

    def __init__(
        self,
        heartbeat: Heartbeat,
        consumer: MessageConsumer,
        deliveries: Sequence[Delivery],
        *,
        visibility: timedelta,
        max_run: timedelta,
    ) -> None:
        self._heartbeat = heartbeat
        self._consumer = consumer
        self._deliveries = deliveries
        self._visibility = visibility
        self._until = heartbeat.now + max_run.total_seconds()
        self._lost: frozenset[str] = frozenset()

    def extending(self) -> AbstractContextManager[None]:
        """Within the block, the deliveries stay invisible to others."""
        return self.keeping(self._extend, every=self._visibility / 3)

    @override
    def keeping(self, renew: Callable[[], None], *, every: timedelta) -> AbstractContextManager[None]:
        return self._heartbeat.beating(renew, every=every, until=self._until)

    @override
    def has_lost(self, delivery: Delivery) -> bool:
        return delivery.receipt in self._lost

    def _extend(self) -> None:
        ours = [one for one in self._deliveries if not self.has_lost(one)]
        if ours:
            lost = self._consumer.extend(ours, visibility=self._visibility)
            self._lost |= {delivery.receipt for delivery in lost}


class LeaseKeeper(Keeper):
    """Renews leases of exclusive functions; their messages are kept from others by who started the function.

    Args:
        heartbeat: renews.
        time_left: how long at the most.
    """

    def __init__(self, heartbeat: Heartbeat, time_left: timedelta) -> None:
        self._heartbeat = heartbeat
        self._until = heartbeat.now + time_left.total_seconds()

    @override
    def keeping(self, renew: Callable[[], None], *, every: timedelta) -> AbstractContextManager[None]:
        return self._heartbeat.beating(renew, every=every, until=self._until)

    @override
    def has_lost(self, delivery: Delivery) -> bool:
        return False
