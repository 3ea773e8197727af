"""Messages a second from queue to queue, on SQLite and PostgreSQL, beside the same statements issued raw.

One worker, one thread. Each message persists one new entity and sends one message on; both sides receive in batches
and commit once a batch. PostgreSQL syncs to disk at each commit, and so does SQLite.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from dependency_injector import providers
from pydantic import SecretStr

from api_exchange_core import Exchange
from api_exchange_core.containers import LocalContainer, LocalSettings, prepared_container
from api_exchange_core.domain.names import QueueName
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.worker import Worker, WorkerLimits
from api_exchange_core.ports.message_publisher import Outgoing
from benchmarks.handler import Keep, Nothing, delivery

MESSAGES = 1_000
ROUNDS = 5


def framework_trip(url: str, batch: int) -> Callable[[], object]:
    """Sends `MESSAGES` to a function's queue, outside of what is measured, and returns what works them off."""
    exchange = Exchange("benchmark", tenants=["customer-a"])
    function = exchange.queue("keep", "orders", Keep)
    settings = LocalSettings(database_url=SecretStr(url))
    container: LocalContainer = prepared_container(exchange, settings, observer=providers.Object(Nothing())())
    worker = Worker(
        function=function,
        consumer=container.queue(),
        handler=container.use_cases.handler(),
        observer=container.observer(),
        bell=Bell(),
        limits=WorkerLimits(batch=batch, patience=timedelta(minutes=5)),
        stopping=lambda: False,
    )
    numbers = iter(range(10**9))

    def fill() -> None:
        deliveries = [delivery(next(numbers)) for _ in range(MESSAGES)]
        container.queue().publish(
            [
                Outgoing(queue=QueueName("orders"), tenant_id="customer-a", message_id=str(n), body=one.body)
                for n, one in enumerate(deliveries)
            ]
        )
