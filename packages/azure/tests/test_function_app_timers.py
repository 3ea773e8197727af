"""Which time of its schedule a timer of a function app is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.functions.timer import TimerRequest
from dependency_injector import providers

from api_exchange_azure import create_function_app
from api_exchange_azure.containers import azure_container
from api_exchange_azure.settings import AzureSettings
from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    Schedule,
)
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.domain.envelope import decode
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_testing import RecordingObserver, VirtualClock

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Fetch(ProcessorInterface):
    """Is only declared here."""

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


class Sent(MessagePublisher):
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def publish(self, outgoing: Sequence[Outgoing]) -> None:
        self.messages += [decode(one.body) for one in outgoing]


class Timer:
    """The timer of a function that runs every five minutes."""

    def __init__(self, fire: Callable[[], object], clock: VirtualClock, sent: Sent) -> None:
        self._fire = fire
        self._clock = clock
        self._sent = sent

    def fire_at(self, moment: datetime) -> tuple[str, str]:
        """The id of the tick that it sends then, and the time that it is of."""
        self._clock.advance(moment - self._clock.now())
        self._fire()
        tick = self._sent.messages[-1]
        assert isinstance(tick.payload, dict)
        return tick.id, str(tick.payload["scheduled_at"])


@pytest.fixture
def timer(tmp_path: Path) -> Iterator[Timer]:
    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.timer("fetch", Schedule.every(minutes=5), Fetch)
    settings = AzureSettings.model_validate(
        {
            "database_url": f"sqlite:///{tmp_path / 'exchange.db'}",
            "service_bus": "Endpoint=sb://nowhere/;SharedAccessKeyName=k;SharedAccessKey=v",
        }
    )
    clock, sent = VirtualClock(_NOON), Sent()
    container = azure_container(exchange, settings, observer=RecordingObserver())
    container.clock.override(providers.Object(clock))
    container.publisher.override(providers.Object(sent))
    migrate.upgrade(container.engine())
    functions = create_function_app(exchange, container=container).get_functions()
    (tick,) = (one.get_user_function() for one in functions if one.get_function_name() == "tick-fetch")
    yield Timer(lambda: tick(TimerRequest(past_due=False)), clock, sent)
    container.engine().dispose()


def test_timers_of_hosts_whose_clocks_differ_are_one_tick(timer: Timer) -> None:
    early, late = _NOON + timedelta(minutes=5, seconds=-1.5), _NOON + timedelta(minutes=6)
    first = timer.fire_at(early)
    assert first == timer.fire_at(late)
    assert first[1] == (_NOON + timedelta(minutes=5)).isoformat()


def test_the_next_time_is_another_tick(timer: Timer) -> None:
    first, second = timer.fire_at(_NOON), timer.fire_at(_NOON + timedelta(minutes=5))
    assert (first[1], second[1]) == (_NOON.isoformat(), (_NOON + timedelta(minutes=5)).isoformat())
    assert first[0] != second[0]
