"""What a unit of work does whose queues live in the same store."""

from __future__ import annotations

import pytest

from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.errors import ClaimLostError, LostRaceError, TransientError
from api_exchange_core.domain.names import FunctionName
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.outbox import OutboxRow
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import (
    EVERY_SCRIPT,
    FUNCTION,
    OTHER_TENANT,
    TENANT,
    entry,
    head,
    key,
    line,
    outgoing,
)
from api_exchange_testing.conformance._threads import all_at_once, persistently
from api_exchange_testing.conformance.storage import Storage, StorageSuite
from api_exchange_testing.conformance.suite import PassingTime
from api_exchange_testing.conformance.transport import Transport

_FUNCTIONS = [FunctionName(f"function-{number}") for number in range(8)]


class QueuesHereSuite(StorageSuite):
    """Needs a fixture `storage` that returns a `Storage` with the transport whose queues live in it."""

    @pytest.fixture
    def transport(self, storage: Storage) -> Transport:
        """The queues of the store."""
        if storage.transport is None:
            raise TypeError("QueuesHereSuite needs Storage(transport=...)")
        return storage.transport

    def test_messages_are_in_their_queue_with_the_commit_and_need_no_relay(
        self, storage: Storage, units: UnitOfWorkFactory, transport: Transport, clock: PassingTime
    ) -> None:
        body = f'{{"text":"{EVERY_SCRIPT}"}}'.encode()
        with units.begin(TENANT) as unit:
            rows = unit.outbox.add([outgoing(queue=transport.queue, body=body)], now=clock.now())
            unit.commit()
        assert list(rows) == []
        assert storage.relay_source.pending() == 0
        assert transport.bodies() == [body]

    def test_messages_keep_order_and_delay(
        self, units: UnitOfWorkFactory, transport: Transport, clock: PassingTime
    ) -> None:
        ordered = [
            outgoing(name, queue=transport.queue, ordering_key="order-1") for name in ("first", "second")
        ]
        delayed = outgoing("delayed", queue=transport.queue, delay=transport.traits.unit)
        with units.begin(TENANT) as unit:
            unit.outbox.add([delayed, *ordered], now=clock.now())
            unit.commit()
        assert transport.bodies() == [ordered[0].body]
        clock.advance(transport.traits.unit)
        assert transport.bodies() == [delayed.body]

    def test_lines_still_become_rows(
        self, storage: Storage, units: UnitOfWorkFactory, transport: Transport, clock: PassingTime
    ) -> None:
        with units.begin(TENANT) as unit:
            rows: list[OutboxRow] = list(
                unit.outbox.add([outgoing(queue=transport.queue), line(EVERY_SCRIPT)], now=clock.now())
            )
            unit.commit()
        assert [row.effect for row in rows] == [line(EVERY_SCRIPT)]
        assert storage.relay_source.pending() == 1

    def test_what_is_rolled_back_is_neither_sent_nor_acknowledged(
        self, units: UnitOfWorkFactory, transport: Transport, clock: PassingTime
    ) -> None:
        received = _received(transport)
        with units.begin(TENANT) as unit:
            unit.outbox.add([outgoing(queue=transport.queues[1])], now=clock.now())
            unit.acknowledge([received])
        assert transport.bodies(transport.queues[1]) == []
        clock.advance(transport.visibility)
        assert transport.bodies() == [received.body]

    def test_an_acknowledged_delivery_is_done_with_the_commit(
        self, units: UnitOfWorkFactory, transport: Transport, clock: PassingTime
    ) -> None:
        received = _received(transport)
        with units.begin(TENANT) as unit:
            assert list(unit.acknowledge([received])) == []
            unit.commit()
        clock.advance(transport.visibility)
        assert transport.bodies() == []

    def test_a_lost_race_leaves_the_delivery_to_be_received_again(
        self, units: UnitOfWorkFactory, transport: Transport, clock: PassingTime
    ) -> None:
        received = _received(transport)
        with pytest.raises(LostRaceError), units.begin(TENANT) as unit:
            unit.acknowledge([received])
            unit.entities.write([HeadWrite(head(key(), 8), 7)], [])
            unit.commit()
        clock.advance(transport.visibility)
        assert transport.bodies() == [received.body]

    def test_a_late_worker_cannot_commit_over_the_one_that_has_its_message_now(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, transport: Transport, clock: PassingTime
    ) -> None:
        late = _received(transport)
        clock.advance(transport.visibility)
        current = transport.receive_one()
        with pytest.raises(ClaimLostError), units.begin(TENANT) as unit:
            unit.journal.complete([entry()])
            unit.outbox.add([outgoing(queue=transport.queues[1])], now=clock.now())
            unit.acknowledge([late])
            unit.commit()
        with elsewhere.begin(TENANT) as unit:
            assert unit.journal.completed(FUNCTION, [entry().message_id]) == set()
        assert transport.bodies(transport.queues[1]) == []
        with units.begin(TENANT) as unit:
            unit.acknowledge([current])
            unit.commit()
        clock.advance(transport.visibility)
        assert transport.bodies() == []

    def test_after_a_lost_claim_the_unit_of_work_cannot_commit(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, transport: Transport, clock: PassingTime
    ) -> None:
        late = _received(transport)
        clock.advance(transport.visibility)
        transport.receive_one()
        with pytest.raises(TransientError), units.begin(TENANT) as unit:
            unit.journal.complete([entry()])
            with pytest.raises(ClaimLostError):
                unit.acknowledge([late])
            unit.commit()
        with elsewhere.begin(TENANT) as unit:
            assert unit.journal.completed(FUNCTION, [entry().message_id]) == set()

    def test_a_message_of_another_tenant_is_not_acknowledged_by_mistake(
        self, units: UnitOfWorkFactory, transport: Transport, clock: PassingTime
    ) -> None:
        transport.publisher.publish(
            [
                outgoing("mine", queue=transport.queue),
                outgoing("theirs", queue=transport.queue, tenant=OTHER_TENANT),
            ]
        )
        mine, theirs = sorted(transport.receive(), key=lambda delivery: delivery.body)
        with units.begin(TENANT) as unit:
            unit.acknowledge([mine])
            unit.commit()
        clock.advance(transport.visibility)
        assert transport.bodies() == [theirs.body]

    def test_of_many_that_acknowledge_a_delivery_one_commits(
        self, storage: Storage, transport: Transport
    ) -> None:
        received = _received(transport)

        def acknowledge(thread: int) -> bool:
            units = storage.connect()
            return persistently(lambda: _acknowledged(units, received, _FUNCTIONS[thread]))

        assert sum(all_at_once(acknowledge)) == 1


def _received(transport: Transport) -> Delivery:
    transport.publisher.publish([outgoing(queue=transport.queue)])
    return transport.receive_one()


def _acknowledged(units: UnitOfWorkFactory, delivery: Delivery, function: FunctionName) -> bool:
    """Whether the claim held, and the work was committed with it."""
    try:
        with units.begin(TENANT) as unit:
            unit.journal.complete([entry(function=function)])
            unit.acknowledge([delivery])
            unit.commit()
    except ClaimLostError:
        return False
    return True
