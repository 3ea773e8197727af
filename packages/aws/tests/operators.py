"""Operators at the dead letters of the stand-in, who may be killed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from typing_extensions import override

from api_exchange_aws.sqs.consumer import SqsMessageConsumer
from api_exchange_aws.sqs.dead_letters import SqsDeadLetters
from api_exchange_aws.sqs.inspector import SqsQueueInspector
from api_exchange_aws.sqs.publisher import SqsMessagePublisher
from api_exchange_aws.sqs.queues import Queues
from api_exchange_aws.sqs.settling import Settling
from api_exchange_core.adapters.claim_check.queues import ClaimCheck
from api_exchange_core.domain.dead_letter import LetterId, StoredLetter
from api_exchange_core.domain.delivery import Complete, DeadLetter, Delivery, Settlement
from api_exchange_core.domain.envelope import decode, encode, encode_letter
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId, dead_letter_queue
from api_exchange_core.ports.leases import Leases
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_testing import InMemoryLeases, RecordingObserver
from packages.aws.tests.deployment import PREFIX, ServiceClock
from packages.aws.tests.ministack.server import Ministack

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

ORDERS = QueueName("orders")
TENANT = TenantId("customer-a")


class Killed(BaseException):
    """The process is gone."""


@dataclass(slots=True)
class Life:
    """So many more calls to the outside until the process is killed; for ever if None."""

    calls: int | None = None

    def lives(self, **_: object) -> None:
        """One more call."""
        if self.calls is not None:
            if self.calls == 0:
                raise Killed
            self.calls -= 1


@dataclass(frozen=True, slots=True)
class MortalLeases(Leases):
    """Leases as a process takes them that may be killed before it gives one back."""

    real: Leases
    life: Life

    @override
    def take(
        self, name: str, *, owner: str, now: datetime, until: datetime, every: timedelta = timedelta(0)
    ) -> bool:
        self.life.lives()
        return self.real.take(name, owner=owner, now=now, until=until, every=every)

    @override
    def release(self, name: str, *, owner: str, ran_at: datetime | None = None) -> None:
        self.life.lives()
        self.real.release(name, owner=owner, ran_at=ran_at)


@dataclass(frozen=True, slots=True)
class ServiceSleeper(Sleeper):
    """Advances the stand-in's clock instead of waiting."""

    clock: ServiceClock

    @override
    def sleep(self, time: timedelta) -> None:
        self.clock.advance(time)

    @override
    async def sleep_async(self, time: timedelta) -> None:
        self.clock.advance(time)


@dataclass(slots=True)
class Desk:
    """A queue with letters on the stand-in, and those who look after them."""

    server: Ministack
    leases: Leases = field(default_factory=InMemoryLeases)
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    client: SQSClient = field(init=False)
    clock: ServiceClock = field(init=False)
    queues: Queues = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.server.client("sqs")
        self.clock = ServiceClock(self.server)
        self.queues = Queues(self.client, PREFIX)

    @property
    def settling(self) -> Settling:
        return Settling(self.client, self.queues, self.clock)

    @property
    def publisher(self) -> SqsMessagePublisher:
        return SqsMessagePublisher(self.client, self.queues, self.clock)

    @property
    def consumer(self) -> SqsMessageConsumer:
        return SqsMessageConsumer(self.client, self.queues, self.clock, self.settling)

    def create(self, *queues: str, fifo: bool = False) -> None:
        """Make queues, each with its dead-letter queue."""
        for name in [*queues, *(dead_letter_queue(QueueName(queue)) for queue in queues)]:
            if fifo:
                self.client.create_queue(QueueName=f"{PREFIX}{name}.fifo", Attributes={"FifoQueue": "true"})
            else:
                self.client.create_queue(QueueName=f"{PREFIX}{name}")

    def operator(
        self, life: Life | None = None, *, sleeper: Sleeper | None = None, claims: ClaimCheck | None = None
    ) -> SqsDeadLetters:
        """A process of its own."""
        fate = Life() if life is None else life
        client: SQSClient = self.server.client("sqs")
        client.meta.events.register("before-call.sqs", fate.lives)
        queues = Queues(client, PREFIX)
        return SqsDeadLetters(
            client,
            queues,
            SqsQueueInspector(client, queues),
            MortalLeases(self.leases, fate),
            self.clock,
            ServiceSleeper(self.clock) if sleeper is None else sleeper,
            self.observer,
            claims,
            wait=timedelta(0),
        )

    def bury(self, *names: str, queue: QueueName = ORDERS, ordering_key: str | None = None) -> None:
        """Let messages of these ids be sent, and die."""
        self.publisher.publish(
            [
                Outgoing(
                    queue=queue,
                    tenant_id=TENANT,
                    message_id=MessageId(name),
                    body=encode(self.message(name)),
                    ordering_key=ordering_key,
                )
                for name in names
            ]
        )
        self.consumer.settle(
            [
                Settlement(one, DeadLetter(self.letter(decode(one.body)), reason="dead"))
                for one in self.received(queue)
            ]
        )

    def letter(self, message: Message) -> bytes:
        """What is buried of it."""
        failure = Failure(
            FunctionName("ship"), ORDERS, "KeyError", "no address", "0123456789abcdef", 5, self.clock.now()
        )
        return encode_letter(message, failure)

    def message(self, name: str) -> Message:
        """One of a tenant."""
        return Message(
            id=MessageId(name),
            tenant_id=TENANT,
            source="/shop",
            payload={"text": name},
            time=self.clock.now(),
            correlation_id="request-1",
        )

    def received(self, queue: QueueName = ORDERS) -> list[Delivery]:
        """All that is visible there, and nobody else sees for an hour."""
        found: list[Delivery] = []
        while some := self.consumer.receive(queue, max_messages=100, visibility=timedelta(hours=1)):
            found += some
        return found

    def queued(self, queue: QueueName = ORDERS) -> list[str]:
        """The ids of the messages that are visible, which leave the queue."""
        names: list[str] = []
        while some := self.received(queue):
            names += [decode(one.body).id for one in some]
            self.consumer.settle([Settlement(one, Complete()) for one in some])
        return names

    def scanned(self, operator: SqsDeadLetters, queue: QueueName = ORDERS) -> Sequence[StoredLetter]:
        """All letters."""
        return [one for page in operator.scan(queue, until=self.clock.now()) for one in page]

    def ids(self, operator: SqsDeadLetters, queue: QueueName = ORDERS) -> dict[str, LetterId]:
        """The letters' ids, by those of their messages."""
        return {decode(one.body).id: one.id for one in self.scanned(operator, queue)}
