"""`make demo-aws`: the orders of `make demo` through the functions of an AWS deployment, on a stand-in for AWS.

A schedule's event, queues of SQS, the handler that Lambda calls, tokens in DynamoDB, keys in Secrets Manager, and a
PostgreSQL that is started for it. Nothing leaves this machine: the stand-in and the database are processes of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from dependency_injector import providers
from rich.console import Console
from typing_extensions import override

from api_exchange_aws import create_lambda_handler
from api_exchange_aws.containers import AwsContainer, aws_container
from api_exchange_aws.dynamodb.table import create_token_table
from api_exchange_aws.lambda_handler import LambdaHandler
from api_exchange_aws.secrets import SecretsManagerSecrets
from api_exchange_aws.settings import AwsSettings
from api_exchange_core import Exchange
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.application.administer_credentials import KeepCredentials
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.names import dead_letter_queue
from api_exchange_testing.postgres import PostgresServer
from examples.orders import acts
from examples.orders.acts import Deployment
from examples.orders.story import Story, tell
from examples.orders.tally import Tally
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


@dataclass(frozen=True, slots=True)
class Invocation:
    """What Lambda hands over with each event: this one has all the time in the world."""

    def get_remaining_time_in_millis(self) -> int:
        """A quarter of an hour, Lambda's most."""
        return 900_000


@dataclass(slots=True)
class OnAws(Deployment):
    """The handler of an exchange, and what calls it."""

    exchange: Exchange
    aws: Ministack
    container: AwsContainer
    handler: LambdaHandler
    poller: Poller
    ticks: Iterator[datetime]

    @property
    @override
    def place(self) -> str:
        return f"AWS is played at {self.aws.endpoint}."

    @property
    @override
    def use_cases(self) -> UseCases:
        return self.container.use_cases()

    @property
    @override
    def keep_credentials(self) -> KeepCredentials:
        container = self.container
        return KeepCredentials(
            container.credentials(), container.sealer(), container.tenants(), container.clock()
        )

    @override
    def fire(self, name: str) -> None:
        event: Mapping[str, Any] = {
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "time": next(self.ticks).isoformat(),
            "resources": [f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{PREFIX}{name}"],
        }
        self.handler(event, Invocation())

    @override
    def run(self) -> Iterator[None]:
        consumed = [function.input_queue for function in self.exchange.functions]
        while not self.depths().keys().isdisjoint(consumed):
            for queue in consumed:
                while self.poller.poll(self.container.queues()[queue].url, most=_BATCH):
                    yield

    @override
    def depths(self) -> Mapping[str, int]:
        return {str(name): depth for name, depth in self.container.inspector().depths().items() if depth}


def main() -> None:
    """Play the demo and print its table."""
    console = Console()
    with stand_in() as aws, PostgresServer.start() as server:
        tell(play(aws, server.create_database(), console), console)


def play(aws: Ministack, database_url: str, console: Console) -> Story:
    """Run the three acts over an empty AWS and the empty database at *database_url*."""
    return acts.play(lambda exchange, tally: deployed(exchange, tally, aws, database_url), console)


@contextmanager
def deployed(exchange: Exchange, tally: Tally, aws: Ministack, database_url: str) -> Iterator[OnAws]:
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
    container = aws_container(exchange, settings, observer=tally)
    container.sqs.override(providers.Object(sqs))
    container.dynamodb.override(providers.Object(dynamodb))
    container.secrets.override(providers.Object(SecretsManagerSecrets(secrets)))
    migrate.upgrade(container.engine())
    now = container.clock().now()
    container.tenants().add(exchange.tenants, now=now)
    handler = create_lambda_handler(exchange, container=container)
    poller = Poller(sqs, lambda event: handler(event, Invocation()))
    # A tick that comes twice is one: each is the schedule's next.
    ticks = (now + n * EVERY for n in itertools.count())
    try:
        yield OnAws(exchange, aws, container, handler, poller, ticks)
    finally:
        container.engine().dispose()


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
