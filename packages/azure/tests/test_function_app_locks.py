"""How long a batch of Service Bus may take: the host renews no locks of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.functions.servicebus import ServiceBusMessage
from dependency_injector import providers

from api_exchange_azure import create_function_app
from api_exchange_azure.containers import azure_container
from api_exchange_azure.settings import AzureSettings
from api_exchange_core import Exchange, Message, ProcessingResult, ProcessorContext, ProcessorInterface
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.domain.envelope import encode
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_testing import RecordingObserver, VirtualClock

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_HOST = '{"functionTimeout": "00:30:00", "extensions": {"serviceBus": {"maxAutoLockRenewalDuration": "00:30:00"}}}'


class Note(ProcessorInterface):
    """Notes by when it must be done."""

    def __init__(self) -> None:
        self.deadlines: list[datetime] = []

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        if context.deadline is not None and context.deadline.at is not None:
            self.deadlines.append(context.deadline.at)
        return ProcessingResult.create_success()


def _handed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: Sequence[datetime | None]
) -> set[timedelta]:
    """The time that a function has for a batch whose messages are locked until then."""
    (tmp_path / "host.json").write_text(_HOST)
    monkeypatch.setenv("AzureWebJobsScriptRoot", str(tmp_path))
    note = Note()
    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.queue("take-orders", "orders-in", note)
    settings = AzureSettings.model_validate(
        {
            "database_url": f"sqlite:///{tmp_path / 'exchange.db'}",
            "service_bus": "Endpoint=sb://nowhere/;SharedAccessKeyName=k;SharedAccessKey=v",
        }
    )
    container = azure_container(exchange, settings, observer=RecordingObserver())
    container.clock.override(providers.Object(VirtualClock(_NOON)))
    migrate.upgrade(container.engine())
    functions = create_function_app(exchange, container=container).get_functions()
    (run,) = (one.get_user_function() for one in functions if one.get_function_name() == "run-take-orders")
    run([_message(place, until) for place, until in enumerate(locks)])
    container.service_bus().close()
    container.engine().dispose()
    assert len(note.deadlines) == len(locks), "a message was not handled"
    return {deadline - _NOON for deadline in note.deadlines}


def test_a_batch_is_done_before_the_first_of_its_locks_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = [_NOON + timedelta(seconds=60), _NOON + timedelta(seconds=90)]
    assert _handed(tmp_path, monkeypatch, locks) == {timedelta(seconds=50)}


def test_a_batch_whose_locks_are_not_told_takes_no_longer_than_a_lock_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _handed(tmp_path, monkeypatch, [None]) == {timedelta(minutes=5) - timedelta(seconds=10)}


def test_a_message_whose_lock_has_ended_on_the_way_is_handled_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = [_NOON - timedelta(seconds=1), _NOON + timedelta(seconds=60)]
    assert _handed(tmp_path, monkeypatch, locks) == {timedelta(seconds=50)}


def _message(place: int, locked_until: datetime | None) -> ServiceBusMessage:
    message = Message(
        id=MessageId(f"m-{place}"),
        tenant_id=TenantId("customer-a"),
        source="/orders/fetch",
        payload={"id": place},
        time=_NOON,
        correlation_id="request-1",
    )
    return ServiceBusMessage(
        body=encode(message),
        application_properties={},
        user_properties={},
        delivery_count=1,
        locked_until=locked_until,
        message_id=message.id,
    )
