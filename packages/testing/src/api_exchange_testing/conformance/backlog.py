"""What every `Backlog` does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from api_exchange_core.domain.delivery import DeadLetter, Settlement
from api_exchange_core.domain.names import QueueName, dead_letter_queue
from api_exchange_core.ports.backlog import Backlog, WaitingMessages
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import QUEUE, TENANT, line, outgoing
from api_exchange_testing.conformance.reports import Reports, ReportsSuite
from api_exchange_testing.conformance.storage import Storage
from api_exchange_testing.conformance.suite import PassingTime
from api_exchange_testing.conformance.transport import Transport

_OTHER = QueueName("orders-out")
_MINUTE = timedelta(minutes=1)


class BacklogSuite(ReportsSuite):
    """Needs a fixture `reports` that returns `Reports` whose storage has a transport."""

    @pytest.fixture
    def backlog(self, reports: Reports) -> Backlog:
        """The port under test."""
        return reports.backlog

    @pytest.fixture
    def transport(self, storage: Storage) -> Transport:
        """The queues."""
        if storage.transport is None:
            raise TypeError("BacklogSuite needs Storage(transport=...)")
        return storage.transport

    def test_where_nothing_waits_nothing_is_told(self, backlog: Backlog, clock: PassingTime) -> None:
        assert list(backlog.messages(now=clock.now())) == []
        assert backlog.effects(now=clock.now()) is None

    def test_each_queue_tells_how_many_wait_and_since_when(
        self, backlog: Backlog, transport: Transport, clock: PassingTime
    ) -> None:
        began = clock.now()
        transport.publisher.publish([outgoing("message-1"), outgoing("message-2", queue=_OTHER)])
        clock.advance(_MINUTE)
        transport.publisher.publish([outgoing("message-3")])
        assert list(backlog.messages(now=clock.now())) == [
            WaitingMessages(queue=QUEUE, count=2, since=began),
            WaitingMessages(queue=_OTHER, count=1, since=began),
        ]

    def test_delayed_messages_wait_from_when_they_are_due(
        self, backlog: Backlog, transport: Transport, clock: PassingTime
    ) -> None:
        due = clock.now() + _MINUTE
        transport.publisher.publish([outgoing(delay=_MINUTE)])
        assert list(backlog.messages(now=clock.now())) == []
        clock.advance(2 * _MINUTE)
        assert list(backlog.messages(now=clock.now())) == [WaitingMessages(queue=QUEUE, count=1, since=due)]

    def test_what_is_in_somebodys_hands_does_not_wait_until_its_time_runs_out(
        self, backlog: Backlog, transport: Transport, clock: PassingTime
    ) -> None:
        transport.publisher.publish([outgoing()])
        transport.consumer.receive(QUEUE, max_messages=1, visibility=_MINUTE)
        assert list(backlog.messages(now=clock.now())) == []
        clock.advance(_MINUTE)
        assert [one.count for one in backlog.messages(now=clock.now())] == [1]

    def test_dead_letters_are_told_in_their_own_queue(
        self, backlog: Backlog, transport: Transport, clock: PassingTime
    ) -> None:
        transport.publisher.publish([outgoing()])
        (delivery,) = transport.consumer.receive(QUEUE, max_messages=1, visibility=_MINUTE)
        transport.consumer.settle([Settlement(delivery, DeadLetter(b"{}", reason="dead"))])
        (found,) = backlog.messages(now=clock.now())
        assert (found.queue, found.count, found.since) == (dead_letter_queue(QUEUE), 1, clock.now())
        assert found.are_dead_letters

    def test_effects_wait_from_when_the_relay_should_have_carried_them_out(
        self, backlog: Backlog, storage: Storage, units: UnitOfWorkFactory, clock: PassingTime
    ) -> None:
        due = clock.now() + storage.due_after
        for _ in range(2):
            with units.begin(TENANT) as unit:
                unit.outbox.add([line()], now=clock.now())
                unit.commit()
            assert backlog.effects(now=clock.now()) is None
        clock.advance(storage.due_after + _MINUTE)
        found = backlog.effects(now=clock.now())
        assert found is not None
        assert (found.count, found.since) == (2, due)
