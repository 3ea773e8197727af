"""An exchange as it is deployed: its handler, queues on the stand-in, and what Lambda's poller does between the two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dependency_injector import providers
from typing_extensions import override

from api_exchange_aws import create_lambda_handler
from api_exchange_aws.containers import AwsContainer, aws_container
from api_exchange_aws.lambda_handler import LambdaHandler
from api_exchange_aws.settings import AwsSettings
from api_exchange_core import Exchange
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.application.send_message import SendMessage
from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_testing import RecordingObserver
from api_exchange_testing.conformance import PassingTime
from packages.aws.tests.ministack.server import Ministack
from packages.aws.tests.poller import Poller
from packages.aws.tests.stand_in import StandIn

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

PREFIX = "shop-"


@dataclass(slots=True)
class ServiceClock(PassingTime):
    """The stand-in's clock."""

    server: StandIn

    @override
    def now(self) -> datetime:
        return self.server.now()

    @override
    def advance(self, by: timedelta) -> None:
        self.server.advance(by)


def _a_minute() -> int:
    return 60_000


@dataclass(frozen=True, slots=True)
class Context:
    """What the runtime hands over; *left* tells how many milliseconds there still are."""

    left: Callable[[], int] = _a_minute

    def get_remaining_time_in_millis(self) -> int:
        return self.left()


@dataclass(slots=True)
class Deployment:
    """An exchange on the stand-in."""

    exchange: Exchange
    container: AwsContainer
    handler: LambdaHandler
    observer: RecordingObserver
    clock: ServiceClock
    client: SQSClient

    @classmethod
    def of(
        cls,
        exchange: Exchange,
        server: Ministack,
        database_url: str,
        *,
        owner_url: str | None = None,
        **settings: object,
    ) -> Deployment:
        """Deploy *exchange* over an empty database; its queues are still to be made.

        Args:
            exchange: the application.
            server: has the queues.
            database_url: what the functions connect to.
            owner_url: what the tables are made through, if it is another login.
            settings: others of the functions.
        """
        given = {"database_url": database_url, "queue_prefix": PREFIX, **settings}
        observer, clock, client = RecordingObserver(), ServiceClock(server), server.client("sqs")
        container = aws_container(exchange, AwsSettings.model_validate(given), observer=observer)
        container.sqs.override(providers.Object(client))
        container.dynamodb.override(providers.Singleton(server.client, "dynamodb"))
        container.s3.override(providers.Singleton(server.client, "s3"))
        container.clock.override(providers.Object(clock))
        owner = create_engine_for(database_url if owner_url is None else owner_url)
        migrate.upgrade(owner)
        owner.dispose()
        handler = create_lambda_handler(exchange, container=container)
        return cls(exchange, container, handler, observer, clock, client)

    def create_queues(self, *names: str, fifo: bool = False) -> None:
        """Make queues, each with its dead-letter queue."""
        for name in [*names, *(f"{one}-dlq" for one in names)]:
            if fifo:
                self.client.create_queue(QueueName=f"{PREFIX}{name}.fifo", Attributes={"FifoQueue": "true"})
            else:
                self.client.create_queue(QueueName=PREFIX + name)

    def send(self, queue: str, payload: object, *, tenant: str = "customer-a") -> str:
        """Put a message into a queue; its id."""
        sender: SendMessage = self.container.use_cases.sender()
        return sender.send(QueueName(queue), payload, tenant_id=TenantId(tenant)).id

    def invoke(self, event: Mapping[str, Any], context: Context | None = None) -> dict[str, Any]:
        """Call the handler as the runtime does."""
        return self.handler(event, Context() if context is None else context)

    def poll(self, queue: str, *, most: int = 10, context: Context | None = None) -> list[str]:
        """What Lambda's poller does: receive, invoke, and remove what is not among the failures.

        Returns:
            The bodies of what was received.
        """
        url = self.container.queues()[QueueName(queue)].url
        return Poller(self.client, lambda event: self.invoke(event, context)).poll(url, most=most)

    def messages(self, queue: str) -> Sequence[Message]:
        """The messages that are visible in a queue, which they leave."""
        consumer = self.container.consumer()
        queue_name = QueueName(queue)
        deliveries = consumer.receive(queue_name, max_messages=100, visibility=timedelta(hours=1))
        return [decode(delivery.body) for delivery in deliveries]

    def depths(self) -> Mapping[QueueName, int]:
        """How many messages each queue has."""
        return self.container.inspector().depths()


def sqlite(folder: Path) -> str:
    """The URL of an empty database in *folder*."""
    return f"sqlite:///{folder}/exchange.db"
