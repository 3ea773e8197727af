"""`api-exchange` on a deployment on AWS: what operators see of it, and what they do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dependency_injector import providers

from api_exchange_aws.containers import AwsParts
from api_exchange_core import (
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
)
from api_exchange_core.cli.app import run
from api_exchange_core.cli.platforms import PLATFORM
from packages.aws.tests.deployment import PREFIX, Deployment, sqlite
from packages.aws.tests.ministack.server import Ministack
from packages.aws.tests.token_table import lasting_token_table

Command = Callable[..., Any]


@dataclass
class Take(ProcessorInterface):
    """Refuses until it is mended."""

    mended: bool = False
    taken: list[str] = field(default_factory=list)

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        if not self.mended:
            raise PermanentError("the shop's orders have no sum")
        self.taken.append(message.id)
        return ProcessingResult.create_success()


@pytest.fixture
def take() -> Take:
    return Take()


@pytest.fixture
def environment(ministack: Ministack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What an operator's shell says of the deployment."""
    for name, value in {
        PLATFORM: "aws",
        "API_EXCHANGE_DATABASE_URL": sqlite(tmp_path),
        "API_EXCHANGE_QUEUE_PREFIX": PREFIX,
        "API_EXCHANGE_TOKEN_TABLE": "shop-tokens",
        **ministack.environment,
    }.items():
        monkeypatch.setenv(name, value)
    with AwsParts.clock.override(providers.Object(ministack)):  # other tests have let time pass there
        yield


@pytest.fixture
def deployed(environment: None, ministack: Ministack, tmp_path: Path, take: Take) -> Iterator[Deployment]:
    exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
    exchange.queue("take-orders", "orders-in", take)
    lasting_token_table(ministack.client("dynamodb"), "shop-tokens")
    deployment = Deployment.of(exchange, ministack, sqlite(tmp_path), token_table="shop-tokens")
    deployment.create_queues("orders-in")
    yield deployment
    deployment.container.engine().dispose()


@pytest.fixture
def api_exchange(deployed: Deployment, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command against the deployment; what it answers in JSON, or what it says if it fails."""

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
    deployed.clock.advance(timedelta(hours=1))
    sent = deployed.send("orders-in", {"id": "o-1"})
    deployed.poll("orders-in")
    assert deployed.depths() == {"orders-in-dlq": 1}

    (listed,) = api_exchange("dlq", "list", "orders-in")
    shown = api_exchange("dlq", "show", listed["id"])
    assert "the shop's orders have no sum" in json.dumps(shown)
    assert sent in json.dumps(shown)

    take.mended = True
    api_exchange("dlq", "replay", "orders-in")
    deployed.poll("orders-in")
    assert take.taken == [sent]
    assert deployed.depths() == {}


def test_dead_letters_are_thrown_away(deployed: Deployment, api_exchange: Command) -> None:
    for number in range(12):
        deployed.send("orders-in", {"id": f"o-{number}"}, tenant=f"customer-{'ab'[number % 2]}")
    deployed.poll("orders-in", most=12)
    api_exchange("dlq", "discard", "orders-in", "--tenant", "customer-a", "--yes")
    left = api_exchange("dlq", "list", "orders-in")
    assert [one["tenant_id"] for one in left] == ["customer-b"] * 6


def test_the_state_of_the_deployment_is_told(deployed: Deployment, api_exchange: Command) -> None:
    deployed.send("orders-in", {"id": "o-1"})
    deployed.poll("orders-in")
    deployed.send("orders-in", {"id": "o-2"})
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


def test_what_is_not_installed_is_said_by_its_name(
    api_exchange: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PLATFORM, "gcp")
    assert "API_EXCHANGE_PLATFORM is 'gcp'" in api_exchange("queues", ends=2)


def test_a_missing_setting_is_told_and_no_value(
    api_exchange: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("API_EXCHANGE_DATABASE_URL")
    assert "set one of API_EXCHANGE_DATABASE_URL" in api_exchange("queues", ends=2)
