"""What every `Outbox` and its `OutboxRelaySource` do where queues live outside of the store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.outbox import OutboxBacklog, OutboxRelaySource, OutboxRow, OutgoingLine
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, OTHER_TENANT, TENANT, line, outgoing
from api_exchange_testing.conformance._threads import all_at_once, persistently
from api_exchange_testing.conformance.storage import Storage, StorageSuite
from api_exchange_testing.conformance.suite import PassingTime

_LEASE = timedelta(minutes=1)
_ALL = 1_000


class OutboxSuite(StorageSuite):
    """Needs a fixture `storage` that returns a `Storage` whose queues live elsewhere."""

    @pytest.fixture
    def relay(self, storage: Storage, clock: PassingTime) -> Relay:
        """The relay of the store."""
        return Relay(storage, clock)

    def test_the_rows_of_a_unit_of_work_are_its_effects_in_order(
        self, units: UnitOfWorkFactory, clock: PassingTime
    ) -> None:
        effects: list[Outgoing | OutgoingLine] = [
            outgoing("message-1"),
            line("first"),
            outgoing("message-2"),
            line("second"),
        ]
        with units.begin(TENANT) as unit:
            rows = [
                *unit.outbox.add(effects[:3], now=clock.now()),
                *unit.outbox.add(effects[3:], now=clock.now()),
            ]
            unit.commit()
        assert [row.effect for row in rows] == effects
        assert [row.id for row in rows] == sorted({row.id for row in rows})

    def test_without_effects_there_are_no_rows(self, units: UnitOfWorkFactory, relay: Relay) -> None:
        assert relay.committed(units) == []
        assert relay.source.pending() == 0

    def test_what_is_committed_waits_until_it_was_sent(self, units: UnitOfWorkFactory, relay: Relay) -> None:
        rows = relay.committed(units, outgoing("message-1"), line())
        assert relay.source.pending() == 2
        relay.source.sent([rows[0].id])
        assert relay.source.pending() == 1
        relay.source.sent([rows[1].id, rows[0].id])
        relay.source.sent([])
        assert relay.source.pending() == 0

    def test_what_is_rolled_back_is_never_sent(
        self, units: UnitOfWorkFactory, relay: Relay, clock: PassingTime
    ) -> None:
        with units.begin(TENANT) as unit:
            unit.outbox.add([outgoing(), line()], now=clock.now())
        relay.wait_until_due()
        assert relay.claim() == []
        assert relay.source.pending() == 0

    def test_a_row_is_left_to_its_own_unit_of_work_for_a_while(
        self, units: UnitOfWorkFactory, relay: Relay
    ) -> None:
        rows = relay.committed(units, outgoing())
        assert relay.claim() == []
        relay.wait_until_due()
        assert relay.claim() == rows

    def test_effects_are_claimed_as_they_were_committed_oldest_first(
        self, units: UnitOfWorkFactory, relay: Relay
    ) -> None:
        full = outgoing(
            EVERY_SCRIPT,
            body=f'{{"text":"{EVERY_SCRIPT}"}}'.encode(),
            delay=timedelta(days=6, seconds=5, milliseconds=250),
            ordering_key=EVERY_SCRIPT,
            properties={"kind": EVERY_SCRIPT, "empty": ""},
        )
        rows = relay.committed(
            units, full, outgoing(), line(EVERY_SCRIPT, name=f"exports/{EVERY_SCRIPT}.jsonl")
        )
        relay.wait_until_due()
        assert relay.claim() == rows

    def test_no_more_are_claimed_than_asked_for(self, units: UnitOfWorkFactory, relay: Relay) -> None:
        rows = relay.committed(units, *(outgoing(f"message-{number}") for number in range(5)))
        relay.wait_until_due()
        assert relay.claim(limit=2) == rows[:2]
        assert relay.claim(limit=2) == rows[2:4]

    def test_a_claimed_row_is_nobody_elses_until_the_lease_ends(
        self, units: UnitOfWorkFactory, relay: Relay, clock: PassingTime
    ) -> None:
        rows = relay.committed(units, outgoing())
        relay.wait_until_due()
        assert relay.claim() == rows
        clock.advance(_LEASE / 2)
        assert relay.claim() == []
        clock.advance(_LEASE / 2)
        assert relay.claim() == rows

    def test_a_row_that_was_sent_never_comes_back(
        self, units: UnitOfWorkFactory, relay: Relay, clock: PassingTime
    ) -> None:
        relay.committed(units, outgoing())
        relay.wait_until_due()
        relay.source.sent([row.id for row in relay.claim()])
        clock.advance(_LEASE)
        assert relay.claim() == []

    def test_the_relay_sees_the_rows_of_all_tenants(self, units: UnitOfWorkFactory, relay: Relay) -> None:
        mine = relay.committed(units, outgoing())
        theirs = relay.committed(units, outgoing(tenant=OTHER_TENANT), tenant=OTHER_TENANT)
        relay.wait_until_due()
        assert relay.claim() == mine + theirs

    def test_no_row_is_claimed_while_an_older_one_of_its_key_is_claimed_by_another(
        self, units: UnitOfWorkFactory, relay: Relay
    ) -> None:
        first, second = (outgoing(f"message-{number}", ordering_key="order-1") for number in (1, 2))
        others = [
            outgoing("other-key", ordering_key="order-2"),
            outgoing("other-queue", ordering_key="order-1", queue=QueueName("orders-out")),
            outgoing("no-key"),
        ]
        rows = relay.committed(units, first, second, *others)
        theirs = relay.committed(
            units, outgoing("other-tenant", tenant=OTHER_TENANT, ordering_key="order-1"), tenant=OTHER_TENANT
        )
        relay.wait_until_due()
        assert relay.claim(limit=1) == rows[:1]
        assert relay.claim() == rows[2:] + theirs
        relay.source.sent([rows[0].id])
        assert relay.claim() == rows[1:2]

    def test_rows_of_one_key_can_be_claimed_together(self, units: UnitOfWorkFactory, relay: Relay) -> None:
        rows = relay.committed(
            units, *(outgoing(f"message-{number}", ordering_key="order-1") for number in range(3))
        )
        relay.wait_until_due()
        assert relay.claim() == rows

    def test_a_postponed_row_is_claimed_again_at_its_time_and_says_how_often_it_was_postponed(
        self, units: UnitOfWorkFactory, relay: Relay, clock: PassingTime
    ) -> None:
        (row,) = relay.committed(units, outgoing())
        relay.wait_until_due()
        relay.claim()
        for attempts in (1, 2):
            relay.source.postpone([row.id], until=clock.now() + 2 * _LEASE)
            clock.advance(2 * _LEASE - timedelta(seconds=1))
            assert relay.claim() == []
            clock.advance(timedelta(seconds=1))
            assert relay.claim() == [replace(row, attempts=attempts)]

    def test_later_rows_of_its_key_do_not_wait_for_a_postponed_one(
        self, units: UnitOfWorkFactory, relay: Relay, clock: PassingTime
    ) -> None:
        rows = relay.committed(
            units, *(outgoing(f"message-{number}", ordering_key="order-1") for number in range(3))
        )
        relay.wait_until_due()
        assert relay.claim() == rows
        relay.source.postpone([rows[0].id], until=clock.now() + 9 * _LEASE)
        clock.advance(_LEASE)
        assert relay.claim() == rows[1:]

    def test_a_row_that_is_gone_cannot_be_postponed(
        self, units: UnitOfWorkFactory, relay: Relay, clock: PassingTime
    ) -> None:
        (row,) = relay.committed(units, outgoing())
        relay.source.sent([row.id])
        relay.source.postpone([row.id], until=clock.now())
        relay.source.postpone([], until=clock.now())
        assert relay.source.pending() == 0

    def test_the_backlog_tells_what_waits_what_is_stuck_and_how_far_the_relay_is_behind(
        self, units: UnitOfWorkFactory, relay: Relay, clock: PassingTime
    ) -> None:
        assert relay.source.backlog(now=clock.now()) == OutboxBacklog(waiting=0, stuck=0, lag=None)
        stuck, *_ = relay.committed(units, outgoing("message-1"), outgoing("message-2"), line())
        assert relay.source.backlog(now=clock.now()) == OutboxBacklog(waiting=3, stuck=0, lag=None)
        relay.wait_until_due()
        relay.source.postpone([stuck.id], until=clock.now())
        behind = timedelta(seconds=7)
        clock.advance(behind)
        assert relay.source.backlog(now=clock.now()) == OutboxBacklog(waiting=3, stuck=1, lag=behind)
        relay.source.sent([row.id for row in relay.claim() if row.id != stuck.id])
        assert relay.source.backlog(now=clock.now()) == OutboxBacklog(waiting=1, stuck=1, lag=None)

    def test_of_many_relays_one_claims_a_row(self, units: UnitOfWorkFactory, relay: Relay) -> None:
        rows = relay.committed(units, *(outgoing(f"message-{number}") for number in range(40)))
        relay.wait_until_due()

        def claim(_: int) -> list[OutboxRow]:
            return [row for _ in range(20) for row in persistently(lambda: relay.claim(limit=3))]

        claimed = [row.id for batch in all_at_once(claim) for row in batch]
        assert sorted(claimed) == [row.id for row in rows]

    def test_deliveries_of_other_queues_are_left_to_be_settled_after_the_commit(
        self, units: UnitOfWorkFactory
    ) -> None:
        delivery = Delivery(QueueName("orders-in"), b"{}", "1", receive_count=1)
        with units.begin(TENANT) as unit:
            assert list(unit.acknowledge([delivery])) == [delivery]
            unit.commit()


class Relay:
    """The outbox seen from both of its ends."""

    def __init__(self, storage: Storage, clock: PassingTime) -> None:
        self.source: OutboxRelaySource = storage.relay_source
        self._due_after = storage.due_after
        self._clock = clock

    def committed(
        self, units: UnitOfWorkFactory, *effects: Outgoing | OutgoingLine, tenant: TenantId = TENANT
    ) -> list[OutboxRow]:
        """Commit *effects* and return their rows."""
        with units.begin(tenant) as unit:
            rows = unit.outbox.add(effects, now=self._clock.now())
            unit.commit()
        return list(rows)

    def wait_until_due(self) -> None:
        """Let the while pass for which a row is left to its own unit of work."""
        self._clock.advance(self._due_after)

    def claim(self, *, limit: int = _ALL) -> list[OutboxRow]:
        """Claim what is due now."""
        return list(self.source.claim(now=self._clock.now(), limit=limit, lease=_LEASE))
