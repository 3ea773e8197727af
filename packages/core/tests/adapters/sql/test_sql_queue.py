from __future__ import annotations

import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from typing_extensions import override

from api_exchange_core.adapters.sql.engine import create_engine_for, reading, writing
from api_exchange_core.adapters.sql.migrate import upgrade
from api_exchange_core.adapters.sql.outbox_relay_source import SqlOutboxRelaySource
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.domain.delivery import Complete, DeadLetter, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.errors import ClaimLostError, PermanentError
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_publisher import Outgoing

TENANT = TenantId("customer-a")
QUEUE = QueueName("orders")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
VISIBILITY = timedelta(minutes=5)


class StoppedClock(Clock):
    def __init__(self, time: datetime = NOW) -> None:
        self.time = time

    @override
    def now(self) -> datetime:
        return self.time


def outgoing(name: str, ordering_key: str | None = None) -> Outgoing:
    return Outgoing(
        queue=QUEUE,
        tenant_id=TENANT,
        message_id=MessageId(name),
        body=name.encode(),
        ordering_key=ordering_key,
    )


def receive(queue: SqlQueue, most: int = 100) -> list[Delivery]:
    return list(queue.receive(QUEUE, max_messages=most, visibility=VISIBILITY))


def test_eight_consumers_receive_each_message_once_while_its_visibility_holds(engine: Engine) -> None:
    queue = SqlQueue(engine, StoppedClock())
    queue.publish([outgoing(f"{number}") for number in range(400)])

    def consume(worker: int) -> list[bytes]:
        bodies: list[bytes] = []
        while batch := receive(queue, most=7):
            bodies += [delivery.body for delivery in batch]
            if worker % 2:
                queue.settle([Settlement(delivery, Complete()) for delivery in batch])
        return bodies

    with ThreadPoolExecutor(8) as threads:
        counted = Counter(body for bodies in threads.map(consume, range(8)) for body in bodies)
    assert counted == {f"{number}".encode(): 1 for number in range(400)}


def test_a_consumer_passes_by_what_another_is_just_taking(postgres_url: str) -> None:
    engine = create_engine_for(f"{postgres_url}?options=-clock_timeout%3D1s")
    upgrade(engine)
    queue = SqlQueue(engine, StoppedClock())
    queue.publish([outgoing("first"), outgoing("second")])
    with writing(engine) as connection:
        connection.execute(text("SELECT id FROM queue ORDER BY id LIMIT 1 FOR UPDATE"))
        assert [delivery.body for delivery in receive(queue)] == [b"second"]
    assert [delivery.body for delivery in receive(queue)] == [b"first"]
    engine.dispose()


def test_eight_consumers_keep_the_order_of_each_key_one_at_a_time(engine: Engine) -> None:
    queue = SqlQueue(engine, StoppedClock())
    keys, each = 5, 20
    queue.publish([outgoing(f"{one}:{number}", str(one)) for number in range(each) for one in range(keys)])
    handled: dict[str, list[int]] = defaultdict(list)
    in_hand: set[str] = set()
    two_at_once: list[str] = []
    guard = threading.Lock()

    def consume(_: int) -> None:
        while sum(map(len, handled.values())) < keys * each:
            for delivery in receive(queue, most=3):
                name, number = delivery.body.decode().split(":")
                with guard:
                    if name in in_hand:
                        two_at_once.append(name)
                    in_hand.add(name)
                    handled[name].append(int(number))
                with guard:
                    in_hand.discard(name)
                queue.settle([Settlement(delivery, Complete())])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(consume, range(8)))
    assert two_at_once == []
    assert handled == {str(one): list(range(each)) for one in range(keys)}


def test_bytes_that_somebody_else_put_there_are_received_and_completed_after_the_commit(
    engine: Engine,
) -> None:
    queue = SqlQueue(engine, StoppedClock())
    queue.publish([outgoing("m")])
    with writing(engine) as connection:
        connection.execute(text("UPDATE queue SET tenant_id = NULL, message_id = NULL"))
    (delivery,) = receive(queue)
    with SqlUnitOfWorkFactory(engine, queues_here=True).begin(TENANT) as unit:
        # A row of no tenant is out of every tenant's sight.
        assert list(unit.acknowledge([delivery])) == [delivery]
        unit.commit()
    queue.settle([Settlement(delivery, Complete())])
    assert queue.depths() == {}


@pytest.mark.parametrize(
    "receipt", ["", "nonsense", "1", "1:", "1:other", "-1:x", "9" * 40 + ":x", "\u0661:x"]
)
@pytest.mark.parametrize("ending", [Complete(), Retry(VISIBILITY), Defer(VISIBILITY), DeadLetter(b"{}", "r")])
def test_a_receipt_that_is_none_of_ours_settles_nothing(
    engine: Engine, receipt: str, ending: Complete | Retry | Defer | DeadLetter
) -> None:
    queue = SqlQueue(engine, StoppedClock())
    queue.publish([outgoing("m")])
    forged = Delivery(QUEUE, b"m", receipt, 1)
    queue.settle([Settlement(forged, ending)])
    with pytest.raises(ClaimLostError), SqlUnitOfWorkFactory(engine, queues_here=True).begin(TENANT) as unit:
        unit.acknowledge([forged])
    assert [delivery.body for delivery in receive(queue)] == [b"m"]


def test_a_message_that_nobody_took_meanwhile_may_be_settled_late(engine: Engine) -> None:
    queue = SqlQueue(engine, StoppedClock())
    queue.publish([outgoing("m")])
    deliveries = receive(queue)
    late = SqlQueue(engine, StoppedClock(NOW + 2 * VISIBILITY))
    late.settle([Settlement(delivery, Complete()) for delivery in deliveries])
    assert late.depths() == {}


def test_a_settlement_of_many_kinds_takes_effect_all_together_or_not_at_all(engine: Engine) -> None:
    queue = SqlQueue(engine, StoppedClock())
    queue.publish([outgoing(f"{number}") for number in range(2)])
    first, second = receive(queue)
    naive = SqlQueue(engine, StoppedClock(NOW.replace(tzinfo=None)))
    with pytest.raises(PermanentError, match="time zone"):
        naive.settle([Settlement(first, Complete()), Settlement(second, Retry(VISIBILITY))])
    with pytest.raises(PermanentError, match="time zone"):
        receive(naive)
    assert queue.depths() == {QUEUE: 2}


def test_a_dead_letter_keeps_its_tenant_and_waits_for_no_other_letter_of_its_key(engine: Engine) -> None:
    queue = SqlQueue(engine, StoppedClock())
    queue.publish([outgoing("first", "key"), outgoing("second", "key")])
    for _ in range(2):
        (delivery,) = receive(queue)
        queue.settle([Settlement(delivery, DeadLetter(b"letter", "reason"))])
    letters = queue.receive(QueueName("orders-dlq"), max_messages=9, visibility=VISIBILITY)
    assert [letter.body for letter in letters] == [b"letter", b"letter"]
    with reading(engine) as connection:
        kept = connection.execute(text("SELECT tenant_id, message_id FROM queue ORDER BY id")).all()
    assert [tuple(row) for row in kept] == [(TENANT, "first"), (TENANT, "second")]


def test_relays_that_claim_at_once_never_have_two_rows_of_one_key(engine: Engine) -> None:
    units, source = SqlUnitOfWorkFactory(engine, queues_here=False), SqlOutboxRelaySource(engine)
    each = 12
    with units.begin(TENANT) as unit:
        unit.outbox.add([outgoing(f"{number}", "key") for number in range(each)], now=NOW)
        unit.commit()
    sent: list[int] = []
    in_hand = threading.Lock()
    overtaken: list[int] = []

    def relay(_: int) -> None:
        while source.pending():
            rows = source.claim(now=NOW + VISIBILITY, limit=1, lease=VISIBILITY)
            for row in rows:
                if not in_hand.acquire(blocking=False):
                    overtaken.append(row.id)
                sent.append(row.id)
                in_hand.release()
            source.sent([row.id for row in rows])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(relay, range(8)))
    assert overtaken == []
    assert sent == sorted(sent)
    assert len(sent) == each


def test_a_number_of_the_outbox_is_never_given_twice(engine: Engine) -> None:
    units, source = SqlUnitOfWorkFactory(engine, queues_here=False), SqlOutboxRelaySource(engine)
    seen: set[int] = set()
    for number in range(3):
        with units.begin(TENANT) as unit:
            rows = unit.outbox.add([outgoing(f"{number}")], now=NOW)
            unit.commit()
        source.sent([row.id for row in rows])
        assert not seen & {row.id for row in rows}
        seen |= {row.id for row in rows}
