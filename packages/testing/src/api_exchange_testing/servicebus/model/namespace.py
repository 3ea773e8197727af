"""All queues and topics of a broker, by the paths at which clients address them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

from api_exchange_core.ports.clock import Clock
from api_exchange_testing.servicebus.model.queue import MessageQueue
from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError
from api_exchange_testing.servicebus.model.topic import Fanout
from api_exchange_testing.servicebus.settings import Queue, Receivable, Subscription, Topic

DEAD_LETTERS: Final = "/$DeadLetterQueue"
SUBSCRIPTIONS: Final = "/Subscriptions/"
TRANSFER: Final = "/$Transfer"


class Namespace:
    """The queues, topics and subscriptions. Capitals in paths make no difference.

    Args:
        new_token: of locks; each must be another.

    Raises:
        ValueError: two entities have one name.
    """

    def __init__(
        self, queues: Iterable[Queue], topics: Iterable[Topic], *, clock: Clock, new_token: Callable[[], UUID]
    ) -> None:
        self._clock = clock
        self._new_token = new_token
        self._receivable: dict[str, MessageQueue] = {}
        self._topics: dict[str, Fanout] = {}
        for queue in queues:
            self._check_new(queue.name)
            self._add(queue.name, queue)
        for topic in topics:
            self._check_new(topic.name)
            self._topics[topic.name.lower()] = Fanout(
                topic, [self._subscribe(topic, each) for each in topic.subscriptions], clock
            )

    def receivable(self, path: str) -> MessageQueue:
        """The queue, subscription or dead-letter queue at *path*.

        Raises:
            RefusedError: there is none.
        """
        wanted = path.lower()
        if wanted in self._receivable:
            return self._receivable[wanted]
        if wanted in self._topics:
            raise RefusedError(
                Condition.NOT_ALLOWED, f"{path!r} is a topic: receive from {path + SUBSCRIPTIONS}<name>."
            )
        if TRANSFER.lower() in wanted:
            raise RefusedError(
                Condition.NOT_IMPLEMENTED,
                f"{path!r}: this broker does not forward, so nothing is dead-lettered on the way.",
            )
        raise self._missing(path)

    def destination(self, path: str) -> MessageQueue | Fanout:
        """The queue or topic at *path*, to send to.

        Raises:
            RefusedError: there is none, or it cannot be sent to.
        """
        wanted = path.lower()
        if wanted in self._topics:
            return self._topics[wanted]
        queue = self._receivable.get(wanted)
        if queue is None:
            raise self._missing(path)
        if not isinstance(queue.settings, Queue):
            raise RefusedError(Condition.NOT_ALLOWED, f"{path!r} is received from, not sent to.")
        return queue

    def check_exists(self, path: str) -> None:
        """Refuse *path* unless something is there.

        Raises:
            RefusedError: nothing is.
        """
        if path.lower() not in self._topics:
            self.receivable(path)

    def __iter__(self) -> Iterator[MessageQueue]:
        return iter(self._receivable.values())

    def pass_time(self) -> None:
        """Carry out in all of it what is due by now."""
        for part in self._parts():
            part.pass_time()

    def next_alarm(self) -> datetime | None:
        """When `pass_time` will have something to do; None is never."""
        alarms = [part.next_alarm() for part in self._parts()]
        return min((alarm for alarm in alarms if alarm is not None), default=None)

    def _parts(self) -> Iterator[MessageQueue | Fanout]:
        yield from self._topics.values()
        yield from self._receivable.values()

    def _subscribe(self, topic: Topic, subscription: Subscription) -> tuple[Subscription, MessageQueue]:
        return subscription, self._add(topic.name + SUBSCRIPTIONS + subscription.name, subscription)

    def _add(self, path: str, settings: Receivable) -> MessageQueue:
        dead = self._queue(path + DEAD_LETTERS, Receivable(settings.name, settings.lock_duration), None)
        return self._queue(path, settings, dead)

    def _queue(self, path: str, settings: Receivable, dead: MessageQueue | None) -> MessageQueue:
        queue = MessageQueue(path, settings, clock=self._clock, new_token=self._new_token, dead_letters=dead)
        self._receivable[path.lower()] = queue
        return queue

    def _check_new(self, name: str) -> None:
        if name.lower() in self._receivable or name.lower() in self._topics:
            raise ValueError(f"two queues or topics are called {name!r}; each needs a name of its own")

    def _missing(self, path: str) -> RefusedError:
        there = sorted(
            {queue.path for queue in self if not queue.path.endswith(DEAD_LETTERS)} | set(self._topics)
        )
        return RefusedError(
            Condition.NOT_FOUND,
            f"The messaging entity {path!r} could not be found; there are {', '.join(there)}.",
        )
