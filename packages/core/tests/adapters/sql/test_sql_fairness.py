"""One tenant's backlog does not keep others waiting."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from api_exchange_core.adapters.sql.engine import writing
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.turns import A_MOMENT, MOST_SEEN
from api_exchange_core.domain.delivery import Complete, Settlement
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing import VirtualClock

QUEUE = QueueName("orders")
MANY, FEW = TenantId("customer-a"), TenantId("customer-b")
VISIBILITY = timedelta(minutes=5)


class Bench:
    """A queue on a clock that stands still, and how it is worked off."""

    def __init__(self, engine: Engine) -> None:
        self.clock = VirtualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
        self.queue = SqlQueue(engine, self.clock)

    def send(self, tenant: TenantId, count: int) -> None:
        messages = [
            Outgoing(queue=QUEUE, tenant_id=tenant, message_id=MessageId(f"{number}"), body=tenant.encode())
            for number in range(count)
        ]
        for start in range(0, count, 10_000):
            self.queue.publish(messages[start : start + 10_000])

    def receive(self, most: int) -> Counter[str]:
        """Work off one batch; how many messages of each tenant it had."""
        batch = self.queue.receive(QUEUE, max_messages=most, visibility=VISIBILITY)
        self.queue.settle([Settlement(delivery, Complete()) for delivery in batch])
        return Counter(delivery.body.decode() for delivery in batch)


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


@pytest.mark.parametrize("backlog", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_ten_messages_do_not_wait_for_a_hundred_thousand_of_another_tenant(
    bench: Bench, backlog: int
) -> None:
    bench.send(MANY, backlog)
    bench.send(FEW, 10)
    assert bench.receive(100) == {MANY: 90, FEW: 10}


def test_those_who_come_while_a_backlog_is_worked_off_are_served_after_a_moment(bench: Bench) -> None:
    bench.send(MANY, 1_000)
    assert bench.receive(100) == {MANY: 100}
    bench.send(FEW, 10)
    bench.clock.advance(A_MOMENT)
    assert bench.receive(100) == {MANY: 90, FEW: 10}


def test_those_who_come_are_served_at_once_if_nobody_else_has_messages(bench: Bench) -> None:
    bench.send(MANY, 1)
    assert bench.receive(100) == {MANY: 1}
    bench.send(FEW, 1)
    assert bench.receive(100) == {FEW: 1}


def test_a_share_that_does_not_come_out_even_falls_to_each_in_turn(bench: Bench) -> None:
    tenants = [TenantId(f"customer-{letter}") for letter in "abc"]
    for tenant in tenants:
        bench.send(tenant, 50)
    served = sum((bench.receive(10) for _ in range(3)), Counter[str]())
    assert served == dict.fromkeys(tenants, 10)


def test_messages_of_no_known_tenant_are_served_like_those_of_one_more_tenant(
    bench: Bench, engine: Engine
) -> None:
    bench.send(MANY, 20)
    bench.send(FEW, 20)
    with writing(engine) as connection:
        connection.execute(text(f"UPDATE queue SET tenant_id = NULL WHERE tenant_id = '{FEW}'"))
    assert bench.receive(10) == {MANY: 5, FEW: 5}


@pytest.mark.parametrize("most", [1, 7, 100])
def test_with_more_tenants_than_one_look_sees_each_has_its_turn_before_any_has_two(
    bench: Bench, engine: Engine, most: int
) -> None:
    tenants = [TenantId(f"customer-{number}") for number in range(MOST_SEEN + 50)]
    for tenant in tenants:
        bench.send(tenant, 2)
    with writing(engine) as connection:
        connection.execute(text(f"UPDATE queue SET tenant_id = NULL WHERE tenant_id = '{tenants[3]}'"))
    served: Counter[str] = Counter()
    while served.total() < len(tenants):
        bench.clock.advance(A_MOMENT / 3)
        served += bench.receive(min(most, len(tenants) - served.total()))
    assert served == dict.fromkeys(tenants, 1)


def test_tenants_that_all_wait_for_their_order_do_not_hide_one_that_does_not(bench: Bench) -> None:
    held = [TenantId(f"customer-{number}") for number in range(9)]
    for tenant in held:
        bench.queue.publish(
            [
                Outgoing(
                    queue=QUEUE, tenant_id=tenant, message_id=MessageId(name), body=b"held", ordering_key="k"
                )
                for name in ("first", "second")
            ]
        )
    assert len(bench.queue.receive(QUEUE, max_messages=9, visibility=VISIBILITY)) == 9
    last = TenantId("customer-z")
    bench.send(last, 1)
    assert bench.receive(2) == {last: 1}


def test_eight_consumers_share_the_messages_of_many_tenants_and_each_is_received_once(engine: Engine) -> None:
    bench = Bench(engine)
    tenants = [TenantId(f"customer-{number}") for number in range(20)]
    for tenant in tenants:
        bench.send(tenant, 30)

    def consume(worker: int) -> Counter[str]:
        consumer = bench if worker % 2 else Bench(engine)
        served: Counter[str] = Counter()
        while batch := consumer.receive(9):
            served += batch
        return served

    with ThreadPoolExecutor(8) as threads:
        served = sum(threads.map(consume, range(8)), Counter[str]())
    assert served == dict.fromkeys(tenants, 30)
    assert bench.queue.depths() == {}
