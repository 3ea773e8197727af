"""`api-exchange` on a deployment on Azure: what operators see of it, and what they do, in either kind of queue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from azure.storage.queue import QueueServiceClient
from dependency_injector import providers
from typing_extensions import override

from api_exchange_azure.containers import AzureContainer, AzureParts, azure_container
from api_exchange_azure.platform import AzureStore
from api_exchange_azure.servicebus.consumer import ServiceBusMessageConsumer
from api_exchange_azure.servicebus.inspector import ServiceBusQueueInspector
from api_exchange_core import (
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
)
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.cli.app import run
from api_exchange_core.cli.platforms import PLATFORM
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.ports.queue_inspector import QueueInspector
from api_exchange_testing import RecordingObserver
from packages.azure.tests.administration import Administration
from packages.azure.tests.azurite.server import Azurite
from packages.azure.tests.namespace import PREFIX, Namespace

# The first to ask for Azurite installs Node and it, which takes a minute.
pytestmark = pytest.mark.timeout(600)

_QUEUE: Final = QueueName("orders-in")
_PLACES: Final = [f"{PREFIX}{_QUEUE}", f"{PREFIX}{_QUEUE}-dlq"]
_LOCK: Final = timedelta(minutes=1)

Command = Callable[..., Any]


@dataclass
class Take(ProcessorInterface):
    """Refuses until it is mended."""

    mended: bool = False
    taken: list[str] = field(default_factory=list)

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        if not self.mended:
            raise PermanentError("the shop's orders have no sum")
        self.taken.append(message.id)
        return ProcessingResult.create_success()


@dataclass(frozen=True, slots=True)
class Deployment:
    """An exchange of one function, and what polls its queue."""

    container: AzureContainer

    def send(self, payload: object, *, tenant: str = "customer-a") -> str:
        """Put a message into the queue; its id."""
        sent: Message = self.container.use_cases.sender().send(_QUEUE, payload, tenant_id=TenantId(tenant))
        return sent.id

    def poll(self) -> None:
        """Handle what is there."""
        consumer = self.container.consumer()
        (function,) = self.container.exchange().functions
        received = consumer.receive(_QUEUE, max_messages=32, visibility=_LOCK)
        consumer.settle(self.container.use_cases.handler().handle(function, received))

    def depths(self) -> dict[str, int]:
        """How many messages are in each queue that has any."""
        return {str(name): depth for name, depth in self.container.inspector().depths().items()}


@pytest.fixture
def take() -> Take:
    return Take()


@pytest.fixture(params=["servicebus", "storage"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The app settings of the deployment."""
    with _service(request) as service:
        yield {
            PLATFORM: "azure",
            "API_EXCHANGE_DATABASE_URL": f"sqlite:///{tmp_path / 'exchange.db'}",
            "API_EXCHANGE_QUEUE_PREFIX": PREFIX,
            "API_EXCHANGE_QUEUES": str(request.param),
            "API_EXCHANGE_POLL_WAIT": "0.25",
            **service,
        }


@contextmanager
def _service(request: pytest.FixtureRequest) -> Iterator[Mapping[str, str]]:
    """Where the queues are."""
    if request.param == "storage":
        azurite: Azurite = request.getfixturevalue("azurite")
        service = QueueServiceClient.from_connection_string(azurite.connection_string)
        for place in _PLACES:
            service.create_queue(place)
        with AzureParts.clock.override(providers.Object(azurite)):  # other tests have let time pass there
            yield {"API_EXCHANGE_STORAGE": azurite.connection_string}
        for place in _PLACES:
            service.delete_queue(place)
        return
    namespace: Namespace = request.getfixturevalue("namespace")
    with Administration(namespace, _PLACES) as administration:

        def counts() -> QueueInspector:
            return ServiceBusQueueInspector(administration.client(), PREFIX)

        # The client of the administration speaks HTTPS alone, and no connection string can tell it a port.
        with (
            AzureStore.inspector.override(providers.Callable(counts)),
            AzureParts.clock.override(providers.Object(namespace.clock)),
        ):
            yield {"API_EXCHANGE_SERVICE_BUS": namespace.broker.connection_string}


@pytest.fixture
def deployed(
    environment: Mapping[str, str], take: Take, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployment]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
    exchange.queue("take-orders", _QUEUE, take)
    container = azure_container(exchange, observer=RecordingObserver())
    migrate.upgrade(container.engine())
    container.tenants().add(exchange.tenants, now=container.clock().now())
    yield Deployment(container)
    consumer = container.consumer()
    if isinstance(consumer, ServiceBusMessageConsumer):
        consumer.close()
        container.senders().close()
        container.service_bus().close()
    container.engine().dispose()


@pytest.fixture
def api_exchange(deployed: Deployment, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command against the deployment; what it answers in JSON, or what it complains of."""

    def command(*words: str, ends: int = 0) -> Any:
        with pytest.raises(SystemExit) as ended:
            run([*words, "--json"])
        said = capsys.readouterr()
        assert ended.value.code == ends, said.err
        return json.loads(said.out) if said.out else said.err

    return command


def test_a_dead_letter_is_listed_shown_and_replayed(
    deployed: Deployment, api_exchange: Command, take: Take
) -> None:
    sent = deployed.send({"id": "o-1"})
    deployed.poll()
    assert deployed.depths() == {"orders-in-dlq": 1}

    assert [one["queue"] for one in api_exchange("dlq", "list")] == ["orders-in"]
    (listed,) = api_exchange("dlq", "list", "orders-in")
    shown = api_exchange("dlq", "show", listed["id"])
    assert "the shop's orders have no sum" in json.dumps(shown)
    assert sent in json.dumps(shown)

    take.mended = True
    api_exchange("dlq", "replay", "orders-in")
    deployed.poll()
    assert take.taken == [sent]
    assert deployed.depths() == {}


def test_dead_letters_are_thrown_away(deployed: Deployment, api_exchange: Command) -> None:
    for number in range(12):
        deployed.send({"id": f"o-{number}"}, tenant=f"customer-{'ab'[number % 2]}")
    deployed.poll()
    api_exchange("dlq", "discard", "orders-in", "--tenant", "customer-a", "--yes")
    left = api_exchange("dlq", "list", "orders-in")
    assert [one["tenant_id"] for one in left] == ["customer-b"] * 6
    assert deployed.depths() == {"orders-in-dlq": 6}


def test_the_state_of_the_deployment_is_told(deployed: Deployment, api_exchange: Command) -> None:
    deployed.send({"id": "o-1"})
    deployed.poll()
    deployed.send({"id": "o-2"})
    assert {one["queue"]: one["messages"] for one in api_exchange("queues")} == {
        "orders-in": 1,
        "orders-in-dlq": 1,
    }
    status = api_exchange("status", ends=1)
    assert {one["queue"]: (one["count"], one["since"]) for one in status["waiting"]} == {
        "orders-in": (1, None),
        "orders-in-dlq": (1, None),
    }
    assert "dead letter" in json.dumps(status["judgement"])


@pytest.mark.parametrize("environment", ["servicebus"], indirect=True)
def test_a_missing_setting_is_told_and_no_value(
    api_exchange: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("API_EXCHANGE_SERVICE_BUS")
    said = api_exchange("queues", ends=2)
    assert "set one of API_EXCHANGE_SERVICE_BUS and" in said
    assert "sqlite" not in said
