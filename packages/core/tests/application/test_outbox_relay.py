"""The relay sends what it can, takes off what it has sent, and keeps the rest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from api_exchange_core import PermanentError, TransientError
from api_exchange_core.application.outbox_relay import OutboxRelay
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.outbox import OutgoingLine
from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.memory.file_sink import InMemoryFileSink
from api_exchange_testing.memory.observer import RecordingObserver
from api_exchange_testing.memory.queue import InMemoryQueue
from api_exchange_testing.memory.unit_of_work import InMemoryStore, InMemoryUnitOfWorkFactory

TENANT = TenantId("customer-a")
QUEUE = QueueName("outbox")


class Disk(InMemoryFileSink):
    """Cannot write one of its files."""

    error: Exception | None = None

    @override
    def append(self, tenant_id: TenantId, name: str, lines: Sequence[bytes]) -> None:
        if name == "broken" and self.error is not None:
            raise self.error
        super().append(tenant_id, name, lines)


class Machine:
    """An outbox with two messages and a line for each of two files, one of which cannot be written."""

    def __init__(self, error: Exception) -> None:
        self.clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.queue, self.disk, self.observer = InMemoryQueue(self.clock), Disk(), RecordingObserver()
        self.disk.error = error
        store = InMemoryStore()
        self.relay = OutboxRelay(store.relay_source, self.queue, self.disk, self.clock, self.observer)
        with InMemoryUnitOfWorkFactory(store).begin(TENANT) as unit:
            unit.outbox.add(
                [_message("m-1"), _line("broken"), _line("whole"), _message("m-2")], now=self.clock.now()
            )
            unit.commit()

    def sweep(self) -> None:
        self.clock.advance(timedelta(minutes=2))
        self.relay.sweep()

    @property
    def sent(self) -> list[str]:
        return [message.outgoing.message_id for message in self.queue.messages(QUEUE)]


def _message(id_: str) -> Outgoing:
    return Outgoing(queue=QUEUE, tenant_id=TENANT, message_id=MessageId(id_), body=b"{}")


def _line(name: str) -> OutgoingLine:
    return OutgoingLine(tenant_id=TENANT, name=name, line=b"{}")


def test_a_file_that_cannot_be_written_for_now_doubles_nothing_beside_it() -> None:
    here = Machine(TransientError("disk full"))
    for _ in range(3):
        with pytest.raises(TransientError, match="disk full"):
            here.sweep()
    assert (here.sent, here.disk.lines(TENANT, "whole")) == (["m-1", "m-2"], [b"{}"])
    here.disk.error = None
    here.sweep()
    assert here.disk.lines(TENANT, "broken") == [b"{}"]
    assert (here.sent, here.disk.lines(TENANT, "whole")) == (["m-1", "m-2"], [b"{}"])
    assert here.relay.source.pending() == 0


def test_a_line_that_can_never_be_written_stays_and_is_told_and_doubles_nothing_beside_it() -> None:
    here = Machine(PermanentError("leads out of the folder"))
    here.sweep()
    assert (here.sent, here.disk.lines(TENANT, "whole")) == (["m-1", "m-2"], [b"{}"])
    assert here.relay.source.pending() == 1
    assert [event.name for event in here.observer.events] == ["outbox.stuck"]


def test_an_error_that_nobody_has_foreseen_does_not_send_again_what_was_sent_before_it() -> None:
    here = Machine(RuntimeError("what"))
    with pytest.raises(RuntimeError):
        here.sweep()
    assert here.sent == ["m-1", "m-2"]
    here.disk.error = None
    here.sweep()
    assert here.sent == ["m-1", "m-2"]
    assert here.relay.source.pending() == 0
