"""A topic: what is sent to it is put into each subscription that lets it pass."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from api_exchange_core.ports.clock import Clock
from api_exchange_testing.servicebus.model.duplicates import Duplicates
from api_exchange_testing.servicebus.model.message import Message
from api_exchange_testing.servicebus.model.queue import MessageQueue
from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError
from api_exchange_testing.servicebus.settings import CorrelationFilter, Subscription, Topic

_COMPARED: Final = (
    *("correlation_id", "message_id", "to", "reply_to", "subject"),
    *("session_id", "reply_to_session_id", "content_type"),
)


def lets_pass(rule: CorrelationFilter, message: Message) -> bool:
    """Whether *message* has every property that *rule* names, with the same value."""
    wanted = {name: getattr(rule, name) for name in _COMPARED}
    return all(value is None or message.system.get(name) == value for name, value in wanted.items()) and all(
        message.properties.get(name) == value for name, value in rule.properties.items()
    )


class Fanout:
    """Puts messages into subscriptions. Scheduled ones wait here, under the numbers that cancel them."""

    def __init__(
        self, topic: Topic, subscriptions: Sequence[tuple[Subscription, MessageQueue]], clock: Clock
    ) -> None:
        self.path = topic.name
        self._subscriptions = tuple(subscriptions)
        self._clock = clock
        self._duplicates = Duplicates(topic.duplicate_window)
        self._scheduled: dict[int, tuple[datetime, Message]] = {}
        self._last_number = 0

    def put(self, messages: Sequence[Message]) -> list[int]:
        """Take all of *messages* or none; their numbers in the topic, that of the original for a duplicate.

        Raises:
            RefusedError: a subscription requires sessions, and a message has no session id.
        """
        self.pass_time()
        for message in messages:
            if message.session_id is None and any(
                queue.settings.requires_session for queue in self._takers(message)
            ):
                raise RefusedError(
                    Condition.NOT_ALLOWED,
                    f"A subscription of {self.path!r} requires sessions, and the message has no session id.",
                )
        return [self._put(message) for message in messages]

    def cancel(self, numbers: Sequence[int]) -> None:
        """Forget scheduled messages; all of them, or none.

        Raises:
            RefusedError: a message is not there, or no longer scheduled.
        """
        self.pass_time()
        for number in numbers:
            if number not in self._scheduled:
                raise RefusedError(
                    Condition.MESSAGE_NOT_FOUND, f"{self.path!r} has no scheduled message {number}."
                )
        for number in numbers:
            self._scheduled.pop(number, None)

    def pass_time(self) -> None:
        """Hand on the scheduled messages that are due."""
        now = self._clock.now()
        for number, (due, message) in sorted(self._scheduled.items(), key=lambda item: item[1][0]):
            if due <= now:
                del self._scheduled[number]
                self._hand_on(message)

    def next_alarm(self) -> datetime | None:
        """When the next scheduled message is due; None without one."""
        return min((due for due, _ in self._scheduled.values()), default=None)

    def _takers(self, message: Message) -> list[MessageQueue]:
        return [
            queue
            for subscription, queue in self._subscriptions
            if subscription.filters is None or any(lets_pass(rule, message) for rule in subscription.filters)
        ]

    def _put(self, message: Message) -> int:
        now = self._clock.now()
        original = self._duplicates.original(message.message_id, now)
        if original is not None:
            return original
        self._last_number += 1
        self._duplicates.remember(message.message_id, self._last_number, now)
        if message.scheduled_at is not None and message.scheduled_at > now:
            self._scheduled[self._last_number] = (message.scheduled_at, message)
        else:
            self._hand_on(message)
        return self._last_number

    def _hand_on(self, message: Message) -> None:
        for queue in self._takers(message):
            queue.put([message])
