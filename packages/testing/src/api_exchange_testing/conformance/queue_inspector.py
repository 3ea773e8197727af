"""What every `QueueInspector` does."""

from __future__ import annotations

import pytest

from api_exchange_core.domain.delivery import Complete, DeadLetter
from api_exchange_core.domain.names import QueueName, dead_letter_queue
from api_exchange_core.ports.queue_inspector import QueueInspector
from api_exchange_testing.conformance._samples import outgoing
from api_exchange_testing.conformance.suite import Suite
from api_exchange_testing.conformance.transport import Transport


class QueueInspectorSuite(Suite):
    """Needs a fixture `transport` that returns a `Transport` with an inspector."""

    @pytest.fixture
    def inspector(self, transport: Transport) -> QueueInspector:
        """The inspector of the transport."""
        if transport.inspector is None:
            raise TypeError("QueueInspectorSuite needs Transport(inspector=...)")
        return transport.inspector

    def test_empty_queues_have_no_messages(self, transport: Transport, inspector: QueueInspector) -> None:
        assert _depths(transport, inspector) == [0, 0]

    def test_visible_invisible_and_delayed_messages_count(
        self, transport: Transport, inspector: QueueInspector
    ) -> None:
        transport.publisher.publish([outgoing("received", queue=transport.queue)])
        transport.receive_one()
        transport.publisher.publish(
            [
                outgoing("visible", queue=transport.queue),
                outgoing("delayed", queue=transport.queue, delay=transport.traits.unit),
                outgoing("elsewhere", queue=transport.queues[1]),
            ]
        )
        assert _depths(transport, inspector) == [3, 1]

    def test_completed_messages_do_not_count(self, transport: Transport, inspector: QueueInspector) -> None:
        transport.publisher.publish([outgoing(queue=transport.queue)])
        transport.settle(transport.receive(), Complete())
        assert _depths(transport, inspector) == [0, 0]

    def test_dead_letters_count_in_their_own_queue(
        self, transport: Transport, inspector: QueueInspector
    ) -> None:
        transport.publisher.publish([outgoing(queue=transport.queue)])
        transport.settle(transport.receive(), DeadLetter(b"{}", reason="dead"))
        assert _depths(transport, inspector) == [0, 0]
        assert _depth(inspector, dead_letter_queue(transport.queue)) == 1


def _depths(transport: Transport, inspector: QueueInspector) -> list[int]:
    return [_depth(inspector, name) for name in transport.queues]


def _depth(inspector: QueueInspector, queue: QueueName) -> int:
    return inspector.depths().get(queue, 0)
