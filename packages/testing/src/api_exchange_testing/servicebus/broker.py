"""The broker as tests use it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar
from uuid import uuid4

from api_exchange_testing.servicebus.access import ROOT, Policy
from api_exchange_testing.servicebus.clock import ShiftedClock
from api_exchange_testing.servicebus.faults import Faults, Planned
from api_exchange_testing.servicebus.model.message import Held, State
from api_exchange_testing.servicebus.model.namespace import DEAD_LETTERS, Namespace
from api_exchange_testing.servicebus.settings import Queue, Subscription, Topic

if TYPE_CHECKING:
    from api_exchange_testing.servicebus.wire.service import Service

STANDARD_MESSAGE_SIZE: Final = 256 * 1024
"""Bytes of the largest message, or batch, in the Standard tier (Service Bus quotas)."""

T = TypeVar("T")


class BrokerUnavailableError(RuntimeError):
    """The library that speaks AMQP is not installed."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as it lies in a queue.

    Attributes:
        body: the bytes of its data sections; None if its body is an AMQP value or sequence.
        state: ``active``, ``locked``, ``deferred`` or ``scheduled``.
        delivery_count: failed deliveries so far.
        properties: of the application, those of a dead letter among them.
    """

    sequence_number: int
    message_id: object
    session_id: str | None
    body: bytes | None
    state: str
    delivery_count: int
    enqueued_at: datetime
    properties: Mapping[str, object]


class ServiceBusBroker:
    """Azure Service Bus as its client libraries see it, in this process, on a free port of 127.0.0.1.

    It is started with `start` or ``with``, and can be started once.

    Args:
        queues: names, or `Queue` with settings.
        topics: subscriptions by topic, as names or `Subscription`; or `Topic` with settings.
        policies: keys and their rights; a root policy alone if none are given.
        max_message_size: in bytes, of a message or batch; that of the Standard tier if not given.
        port: where to listen; 0 is a free one.

    Raises:
        ValueError: two entities have one name, or there are no policies.
    """

    def __init__(
        self,
        queues: Iterable[str | Queue] = (),
        topics: Mapping[str, Iterable[str | Subscription]] | Iterable[Topic] = (),
        *,
        policies: Iterable[Policy] = (ROOT,),
        max_message_size: int = STANDARD_MESSAGE_SIZE,
        port: int = 0,
    ) -> None:
        self._policies = {policy.name: policy for policy in policies}
        if not self._policies:
            raise ValueError("a broker without a policy lets nobody in; give it one")
        self._clock = ShiftedClock()
        self._namespace = Namespace(
            [Queue(each) if isinstance(each, str) else each for each in queues],
            _topics(topics),
            clock=self._clock,
            new_token=uuid4,
        )
        self._max_message_size = max_message_size
        self._wanted_port = port
        self._planned = Planned()
        self._service: Service | None = None

    def start(self) -> Self:
        """Listen; clients can connect when this returns.

        Raises:
            BrokerUnavailableError: install ``api-exchange-testing[servicebus]``.
            OSError: the port is taken.
            RuntimeError: it was started before.
        """
        if self._service is not None:
            raise RuntimeError("this broker was started before; make another")
        try:
            from api_exchange_testing.servicebus.wire.service import Service
        except ModuleNotFoundError as absent:
            if absent.name is None or absent.name.partition(".")[0] not in ("proton", "cproton"):
                raise
            raise BrokerUnavailableError(
                "the broker speaks AMQP by python-qpid-proton: install api-exchange-testing[servicebus]"
            ) from absent
        self._service = Service(
            self._namespace,
            tuple(self._policies.values()),
            self._planned,
            clock=self._clock,
            port=self._wanted_port,
            max_message_size=self._max_message_size,
        )
        return self

    def stop(self) -> None:
        """Stop listening, and drop all connections. What lies in queues can still be looked at.

        Raises:
            RuntimeError: the broker itself failed on the way.
        """
        self._running().server.stop()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._running().server.port

    @property
    def connection_string(self) -> str:
        """For ``ServiceBusClient.from_connection_string``, under the first policy."""
        return self.connection_string_for(next(iter(self._policies)))

    def connection_string_for(self, policy: str) -> str:
        """For ``ServiceBusClient.from_connection_string``, under the policy of that name.

        Raises:
            KeyError: there is none.
        """
        its = self._policies[policy]
        return (
            f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName={its.name};SharedAccessKey={its.key};"
            "UseDevelopmentEmulator=true"  # by which the client leaves TLS out
        )

    @property
    def faults(self) -> Faults:
        """Makes things go wrong."""
        return Faults(self._planned, self._running(), self._call)

    def advance(self, by: timedelta) -> None:
        """Let time pass at once, for the broker: locks run out, scheduled messages fall due, others expire.

        Clients go by the machine's clock, and do not notice. Tokens are not older for it.

        Raises:
            ValueError: *by* is negative.
        """
        self._call(lambda: self._clock.advance(by))

    def messages(self, path: str) -> tuple[StoredMessage, ...]:
        """What lies in a queue, in ``topic/Subscriptions/name``, or in the ``/$DeadLetterQueue`` of either.

        Raises:
            RefusedError: there is no such entity.
        """
        return self._call(lambda: tuple(_stored(held) for held in self._namespace.receivable(path).peek()))

    def dead_letters(self, path: str) -> tuple[StoredMessage, ...]:
        """The dead letters of a queue or subscription.

        Raises:
            RefusedError: there is no such entity.
        """
        return self.messages(path + DEAD_LETTERS)

    def purge(self, path: str) -> int:
        """Remove all messages of a queue or subscription, locked and deferred ones too; how many there were.

        Raises:
            RefusedError: there is no such entity.
        """
        return self._call(lambda: self._namespace.receivable(path).purge())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> Service:
        if self._service is None:
            raise RuntimeError("this broker was not started; call start(), or use it in a with statement")
        return self._service

    def _call(self, function: Callable[[], T]) -> T:
        return self._running().server.call(function)


def _topics(given: Mapping[str, Iterable[str | Subscription]] | Iterable[Topic]) -> list[Topic]:
    if not isinstance(given, Mapping):
        return list(given)
    return [
        Topic(name, tuple(Subscription(each) if isinstance(each, str) else each for each in subscriptions))
        for name, subscriptions in given.items()
    ]


def _stored(held: Held) -> StoredMessage:
    from api_exchange_testing.servicebus.wire.envelope import content

    return StoredMessage(
        sequence_number=held.sequence_number,
        message_id=held.message.message_id,
        session_id=held.message.session_id,
        body=content(held.message),
        state="locked" if held.lock is not None and held.state is State.ACTIVE else held.state.name.lower(),
        delivery_count=held.delivery_count,
        enqueued_at=held.enqueued_at,
        properties=held.message.properties,
    )
