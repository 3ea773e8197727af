"""`make demo-aws`: the orders of `make demo` through the functions of an AWS deployment, on a stand-in for AWS.

A schedule's event, queues of SQS, the handler that Lambda calls, tokens in DynamoDB, keys in Secrets Manager, and a
PostgreSQL that is started for it. Nothing leaves this machine: the stand-in and the database are processes of its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from dependency_injector import providers
from rich.console import Console

from api_exchange_aws import create_lambda_handler
from api_exchange_aws.containers import AwsContainer, aws_container
from api_exchange_aws.dynamodb.table import create_token_table
from api_exchange_aws.lambda_handler import LambdaHandler
from api_exchange_aws.secrets import SecretsManagerSecrets
from api_exchange_aws.settings import AwsSettings
from api_exchange_core import Exchange, tenant_context
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.application.administer_credentials import KeepCredentials
from api_exchange_core.domain.names import dead_letter_queue
from api_exchange_testing.postgres import PostgresServer
from examples.orders.container import OrdersContainer
from examples.orders.demo import CHANGED_ORDER
from examples.orders.exchange import declare
from examples.orders.story import Act, Story, entities, keep_accounts, suspected, table
from examples.orders.tally import Tally
from examples.orders.vendor import VendorApi
from packages.aws.tests.ministack.environment import python
from packages.aws.tests.ministack.server import ACCOUNT, REGION, Ministack
from packages.aws.tests.poller import Poller

PREFIX: Final = "demo-"
TOKENS: Final = "demo-tokens"
KEYS: Final = "demo/keys"
OUTPUTS: Final = ("express-orders", "standard-orders", "unknown-orders")
"""Queues that no function of the exchange consumes."""

EVERY: Final = timedelta(minutes=5)
"""The schedule of the function that fetches."""

_BATCH: Final = 100
_GIVE_UP_AFTER: Final = 600.0


@dataclass(frozen=True, slots=True)
class Invocation:
    """What Lambda hands over with each event: this one has all the time in the world."""

    def get_remaining_time_in_millis(self) -> int:
        """A quarter of an hour, Lambda's most."""
        return 900_000


@dataclass(frozen=True, slots=True)
class Deployment:
    """The exchange as it is deployed, and what starts its functions."""

    exchange: Exchange
    container: AwsContainer
    handler: LambdaHandler
    poller: Poller
    tally: Tally

    @classmethod
    def of(cls, exchange: Exchange, aws: Ministack, database_url: str) -> Deployment:
        """Make queues, table and keys, migrate the database, and load the functions."""
        sqs, dynamodb, secrets = (aws.client(name) for name in ("sqs", "dynamodb", "secretsmanager"))
        consumed = [function.input_queue for function in exchange.functions]
        for queue in (*consumed, *map(dead_letter_queue, consumed), *OUTPUTS):
            sqs.create_queue(QueueName=f"{PREFIX}{queue}")
        create_token_table(dynamodb, TOKENS)
        secrets.create_secret(Name=KEYS, SecretString=new_entry("demo"))
        settings = AwsSettings.model_validate(
            {"database_url": database_url, "queue_prefix": PREFIX, "token_table": TOKENS, "keys_secret": KEYS}
        )
        tally = Tally()
        container = aws_container(exchange, settings, observer=tally)
        container.sqs.override(providers.Object(sqs))
        container.dynamodb.override(providers.Object(dynamodb))
        container.secrets.override(providers.Object(SecretsManagerSecrets(secrets)))
        migrate.upgrade(container.engine())
        container.tenants().add(exchange.tenants, now=container.clock().now())
        handler = create_lambda_handler(exchange, container=container)
        return cls(
            exchange, container, handler, Poller(sqs, lambda event: handler(event, Invocation())), tally
        )

    def fire(self, name: str, at: datetime) -> None:
        """Hand over the event of the schedule that has the function's name."""
        event: Mapping[str, Any] = {
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "time": at.isoformat(),
            "resources": [f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{PREFIX}{name}"],
        }
        self.handler(event, Invocation())

    def run(self) -> Iterator[int]:
        """Hand over what waits in the queues until nothing does; after each batch, how many messages it had."""
        queues = [self.container.queues()[function.input_queue].url for function in self.exchange.functions]
        while any(self.waiting.values()):
            for url in queues:
                while received := self.poller.poll(url, most=_BATCH):
                    yield len(received)

    @property
    def waiting(self) -> Mapping[str, int]:
        """How many messages wait for each function."""
        depths = self.container.inspector().depths()
        return {one.name: depths.get(one.input_queue, 0) for one in self.exchange.functions}

    @property
    def queues(self) -> Mapping[str, int]:
        """How many messages are in the queues that have any."""
        return {str(name): depth for name, depth in self.container.inspector().depths().items() if depth}


def main() -> None:
    """Play the demo and print its table."""
    console = Console()
    with stand_in() as aws, PostgresServer.start() as server:
        story = play(aws, server.create_database(), console)
    console.print(table(story))
    if story.first.counts.problems or story.again.counts.problems or story.changed.counts.problems:
        sys.exit("something went wrong on the way; the table says what")


def play(aws: Ministack, database_url: str, console: Console) -> Story:
    """Run the three acts of the demo over an empty AWS and an empty database."""
    with VendorApi() as vendor:
        parts = OrdersContainer(shop_url=vendor.url)
        exchange = declare(parts)
        deployed = Deployment.of(exchange, aws, database_url)
        console.print(f"AWS is played at {aws.endpoint}; the shop's API answers at {vendor.url}.")
        container = deployed.container
        # A tick that comes twice is one: each act is the schedule's next.
        ticks = [container.clock().now() + n * EVERY for n in range(3)]
        with parts.shop() as shop:
            keep = KeepCredentials(
                container.credentials(), container.sealer(), container.tenants(), container.clock()
            )
            keep_accounts(keep, vendor, exchange.tenants)
            first = _act(console, deployed, "1. All orders", ticks[0])
            again = _act(console, deployed, "2. All orders again", ticks[1])
            with container.use_cases.services().at_work(), tenant_context("customer-a"):
                shop.patch(f"/v1/orders/{CHANGED_ORDER}", json={"cds": 7})
            changed = _act(console, deployed, f"3. Again, order {CHANGED_ORDER} changed", ticks[2])
        story = Story(
            tenants=exchange.tenants,
            first=first,
            again=again,
            changed=changed,
            entities=entities(exchange, container.use_cases.entity_service()),
            suspected=suspected(exchange, container.use_cases.entity_service()),
            queues=deployed.queues,
        )
        container.engine().dispose()
        return story


def _act(console: Console, deployed: Deployment, title: str, at: datetime) -> Act:
    """Fire the schedule, and show progress until nothing waits any more."""
    counts = deployed.tally.begin()
    started = time.monotonic()
    deployed.fire("fetch-orders", at)
    with console.status(title) as status:
        for _ in deployed.run():
            status.update(f"{title}: {counts.messages.total():,} messages handled")
            if time.monotonic() - started > _GIVE_UP_AFTER:
                raise TimeoutError(f"{title}: messages still wait after {_GIVE_UP_AFTER:.0f} s")
    act = Act(counts, time.monotonic() - started)
    console.print(
        f"{title}: {counts.orders_fetched.total():,} fetched, "
        f"{counts.messages.total():,} messages in {act.seconds:.1f} s"
    )
    return act


@contextmanager
def stand_in() -> Iterator[Ministack]:
    """An AWS of this process's own; gone with the block."""
    server = Ministack.start(python())
    try:
        yield server
    finally:
        server.stop()


if __name__ == "__main__":
    main()
