"""`make demo-azure`: the orders of `make demo` through the function app of an Azure deployment, on stand-ins for Azure.

A timer, queues of Service Bus, the functions that Azure's Python worker calls, and everything else in a PostgreSQL that
is started for it. Nothing leaves this machine: the client of Service Bus is Microsoft's own, and the broker that it
talks to is a thread of this process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from dependency_injector import providers
from rich.console import Console
from typing_extensions import override

from api_exchange_azure import create_function_app
from api_exchange_azure.containers import AzureContainer, azure_container
from api_exchange_azure.settings import AzureSettings
from api_exchange_core import Exchange
from api_exchange_core.adapters.crypto.aes_gcm import KEYRING
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.system.secret_source import EnvironmentSecretSource
from api_exchange_core.application.administer_credentials import KeepCredentials
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.names import dead_letter_queue
from api_exchange_testing.postgres import PostgresServer
from api_exchange_testing.servicebus import ServiceBusBroker
from examples.orders import acts
from examples.orders.acts import Deployment
from examples.orders.story import Story, tell
from examples.orders.tally import Tally
from packages.azure.tests.host import FunctionsHost
from packages.azure.tests.namespace import BrokerClock

OUTPUTS: Final = ("express-orders", "standard-orders", "unknown-orders")
"""Queues that no function of the exchange consumes."""

EVERY: Final = timedelta(minutes=5)
"""The schedule of the function that fetches."""

_BATCH: Final = 100
_WAIT: Final = 0.05


@dataclass(frozen=True, slots=True)
class OnAzure(Deployment):
    """The function app of an exchange, and the host that calls it."""

    exchange: Exchange
    broker: ServiceBusBroker
    clock: BrokerClock
    container: AzureContainer
    host: FunctionsHost

    @property
    @override
    def place(self) -> str:
        return f"Service Bus is played at 127.0.0.1:{self.broker.port}."

    @property
    @override
    def use_cases(self) -> UseCases:
        return self.container.use_cases()

    @property
    @override
    def keep_credentials(self) -> KeepCredentials:
        container = self.container
        return KeepCredentials(container.credentials(), container.sealer(), container.tenants(), self.clock)

    @override
    def fire(self, name: str) -> None:
        self.clock.advance(EVERY)  # a function that fires twice in its five minutes is one tick
        self.host.fire(f"tick-{name}")

    @override
    def run(self) -> Iterator[None]:
        functions = self.exchange.functions
        while any(self.broker.messages(function.input_queue) for function in functions):
            for function in functions:
                while self.host.poll(f"run-{function.name}"):
                    yield

    @override
    def depths(self) -> Mapping[str, int]:
        depths = {queue: len(self.broker.messages(queue)) for queue in queues_of(self.exchange)}
        return {queue: depth for queue, depth in depths.items() if depth}


def main() -> None:
    """Play the demo and print its table."""
    console = Console()
    with PostgresServer.start() as server:
        tell(play(server.create_database(), console), console)


def play(database_url: str, console: Console) -> Story:
    """Run the three acts over an empty Service Bus and the empty database at *database_url*."""
    return acts.play(lambda exchange, tally: deployed(exchange, tally, database_url), console)


@contextmanager
def deployed(exchange: Exchange, tally: Tally, database_url: str) -> Iterator[OnAzure]:
    """Make the queues and the tables, load the function app, and let a host listen."""
    with ServiceBusBroker(queues=queues_of(exchange)) as broker:
        settings = AzureSettings.model_validate(
            {"database_url": database_url, "service_bus": broker.connection_string}
        )
        container = azure_container(exchange, settings, observer=tally)
        clock = BrokerClock(broker)
        container.clock.override(providers.Object(clock))
        # A key of this process alone: what it has sealed nobody opens afterwards.
        container.secrets.override(providers.Object(EnvironmentSecretSource({KEYRING: new_entry("demo")})))
        migrate.upgrade(container.engine())
        container.tenants().add(exchange.tenants, now=clock.now())
        app = create_function_app(exchange, container=container)
        host = FunctionsHost(app, container.service_bus(), batch=_BATCH, wait=_WAIT)
        try:
            yield OnAzure(exchange, broker, clock, container, host)
        finally:
            with ThreadPoolExecutor() as threads:  # each takes a while, asleep
                threads.map(lambda links: links.close(), (host, container.senders()))
            container.service_bus().close()
            container.engine().dispose()


def queues_of(exchange: Exchange) -> list[str]:
    """All queues, with those of dead letters."""
    consumed = [function.input_queue for function in exchange.functions]
    return [*consumed, *map(dead_letter_queue, consumed), *OUTPUTS]


if __name__ == "__main__":
    main()
