"""Many relays on one outbox: threads, processes, and one that is killed."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, select
from typing_extensions import override

from api_exchange_core.adapters.sql.engine import create_engine_for, reading
from api_exchange_core.adapters.sql.outbox_relay_source import SqlOutboxRelaySource
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.schema import queue
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.application.outbox_relay import OutboxRelay
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing import InMemoryFileSink, RecordingObserver, VirtualClock

TENANT = TenantId("customer-a")
QUEUE = QueueName("orders")
BATCH = 7
LEASE = timedelta(minutes=1)
KEYS = ("a", "b", "c", None)

PROCESS = """
import runpy, sys
tests = runpy.run_path(sys.argv[1])
tests["relay_in_a_process"](sys.argv[2], dies=len(sys.argv) > 3)
"""


def put(engine: Engine, rows: int) -> None:
    """Commit messages to the outbox, ten a unit of work, that have been due for a while."""
    units = SqlUnitOfWorkFactory(engine, queues_here=False)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    for start in range(0, rows, 10):
        messages = [
            Outgoing(
                queue=QUEUE,
                tenant_id=TENANT,
                message_id=MessageId(f"{number:04}"),
                body=b"{}",
                ordering_key=KEYS[number % len(KEYS)],
            )
            for number in range(start, start + 10)
        ]
        with units.begin(TENANT) as unit:
            unit.outbox.add(messages, now=long_ago)
            unit.commit()


def relay_over(engine: Engine, publisher: SqlQueue, *, later: timedelta = timedelta(0)) -> OutboxRelay:
    return OutboxRelay(
        SqlOutboxRelaySource(engine),
        publisher,
        InMemoryFileSink(),
        VirtualClock(datetime.now(UTC) + later),
        RecordingObserver(),
        batch=BATCH,
        lease=LEASE,
    )


def sweep_until_empty(relay: OutboxRelay) -> None:
    while relay.source.pending():
        try:
            relay.sweep()
        except TransientError:  # SQLite has one writer at a time
            continue


class Hangs(SqlQueue):
    """Says that it has sent its second batch, and comes to nothing more."""

    calls = 0

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        super().publish(messages)
        Hangs.calls += 1
        if Hangs.calls == 2:
            print("sent", flush=True)
            sys.stdin.readline()


def relay_in_a_process(url: str, *, dies: bool) -> None:
    engine = create_engine_for(url)
    relay = relay_over(engine, (Hangs if dies else SqlQueue)(engine, SystemClock()))
    print("ready", flush=True)
    sys.stdin.readline()
    sweep_until_empty(relay)


@contextmanager
def started(engine: Engine, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A process with a relay that waits for a line."""
    url = engine.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, __file__, url, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def say_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def sent(engine: Engine) -> list[tuple[str | None, str]]:
    """Ordering key and id of all that was sent, in the order in which it was."""
    with reading(engine) as connection:
        rows = connection.execute(select(queue.c.ordering_key, queue.c.message_id).order_by(queue.c.id))
        return [(row.ordering_key, row.message_id) for row in rows]


def by_key(messages: Sequence[tuple[str | None, str]]) -> dict[str | None, list[str]]:
    ids: dict[str | None, list[str]] = defaultdict(list)
    for key, message_id in messages:
        ids[key].append(message_id)
    return ids


def assert_each_once_and_in_order(messages: Sequence[tuple[str | None, str]], rows: int) -> None:
    ids = by_key(messages)
    for place, key in enumerate(KEYS):
        expected = [f"{number:04}" for number in range(place, rows, len(KEYS))]
        assert (sorted(ids[key]) if key is None else ids[key]) == expected


def test_eight_relays_send_each_row_once_and_each_key_in_order(engine: Engine) -> None:
    put(engine, 200)
    publisher = SqlQueue(engine, SystemClock())
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: sweep_until_empty(relay_over(engine, publisher)), range(8)))
    assert_each_once_and_in_order(sent(engine), 200)
    assert SqlOutboxRelaySource(engine).pending() == 0


def test_relays_of_three_processes_send_each_row_once_and_each_key_in_order(engine: Engine) -> None:
    put(engine, 200)
    with ExitStack() as stack:
        processes = [stack.enter_context(started(engine)) for _ in range(3)]
        for process in processes:
            say_go(process)
        assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert_each_once_and_in_order(sent(engine), 200)
    assert SqlOutboxRelaySource(engine).pending() == 0


def test_what_a_relay_was_killed_over_is_sent_again_after_its_lease_and_nothing_is_lost_or_overtaken(
    engine: Engine,
) -> None:
    put(engine, 100)
    with started(engine, "dies") as process:
        say_go(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "sent\n"
        process.kill()
        process.wait()
    in_doubt = sent(engine)[BATCH:]
    assert len(in_doubt) == BATCH
    publisher = SqlQueue(engine, SystemClock())
    before_the_lease_ends = relay_over(engine, publisher)
    while before_the_lease_ends.sweep():
        pass
    assert SqlOutboxRelaySource(engine).pending() >= BATCH
    assert len(sent(engine)) == len(set(sent(engine)))
    with ThreadPoolExecutor(4) as threads:
        relays = [relay_over(engine, publisher, later=LEASE) for _ in range(4)]
        list(threads.map(sweep_until_empty, relays))
    assert SqlOutboxRelaySource(engine).pending() == 0
    everything = sent(engine)
    assert_each_once_and_in_order(list(dict.fromkeys(everything)), 100)
    twice = [message for message in set(everything) if everything.count(message) > 1]
    assert sorted(twice, key=str) == sorted(in_doubt, key=str)
