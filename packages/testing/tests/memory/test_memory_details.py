"""What the adapters in memory promise beyond their ports: to tests, and to the harness."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from api_exchange_core.domain.delivery import Retry, Settlement
from api_exchange_core.domain.errors import LostRaceError, PermanentError, TenantError
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.observer import Handled, Outcome
from api_exchange_testing import (
    InMemoryFileSink,
    InMemoryQueue,
    InMemoryStore,
    InMemoryUnitOfWorkFactory,
    RecordingObserver,
    SeededRandomness,
    VirtualClock,
)
from api_exchange_testing.conformance._samples import (
    OTHER_TENANT,
    QUEUE,
    TENANT,
    entry,
    head,
    key,
    outgoing,
    version_of,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def queue(clock: VirtualClock) -> InMemoryQueue:
    return InMemoryQueue(clock)


def test_a_virtual_clock_stands_still_until_it_is_advanced(clock: VirtualClock) -> None:
    assert clock.now() == clock.now() == START
    clock.advance(MINUTE)
    clock.advance(timedelta(0))
    assert clock.now() == START + MINUTE
    clock.advance_to(START + 2 * MINUTE)
    assert repr(clock) == "VirtualClock(2026-01-01T00:02:00+00:00)"


def test_a_virtual_clock_never_goes_back(clock: VirtualClock) -> None:
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-timedelta.resolution)
    with pytest.raises(ValueError, match="is over"):
        clock.advance_to(START - timedelta.resolution)
    assert clock.now() == START


def test_a_virtual_clock_takes_aware_times_and_tells_utc(clock: VirtualClock) -> None:
    tokyo = timezone(timedelta(hours=9))
    clock.advance_to(datetime(2026, 1, 2, 9, tzinfo=tokyo))
    assert clock.now().isoformat() == "2026-01-02T00:00:00+00:00"
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - the point
    with pytest.raises(ValueError, match="aware"):
        VirtualClock(naive)
    with pytest.raises(ValueError, match="aware"):
        clock.advance_to(naive)


def test_a_seed_repeats_ids_and_fractions() -> None:
    one, same, other = SeededRandomness(1), SeededRandomness(1), SeededRandomness(2)
    drawn = [one.new_id(), one.fraction(), one.new_id()]
    assert drawn == [same.new_id(), same.fraction(), same.new_id()]
    assert drawn[0] != other.new_id()
    assert UUID(str(drawn[0])).version == 4


def test_seeded_randomness_leaves_the_process_wide_generator_alone() -> None:
    random.seed(3)
    expected = random.random()
    random.seed(3)
    SeededRandomness(1).fraction()
    assert random.random() == expected


def test_an_observer_remembers_summaries_and_events_with_the_ids_bound_at_the_time() -> None:
    observer = RecordingObserver()
    summary = Handled(function="f", queue="q", outcome=Outcome.COMPLETED, attempt=1, duration=MINUTE)
    with observer.bound(tenant_id="acme"), observer.bound(attempt=2):
        observer.event("claim.lost", message_id="1")
        observer.handled(summary)
    observer.event("afterwards")
    inside, afterwards = observer.events
    assert (inside.name, inside.facts, inside.ids) == (
        "claim.lost",
        {"message_id": "1"},
        {"tenant_id": "acme", "attempt": 2},
    )
    assert afterwards.ids == {}
    assert observer.summaries == [summary]


def test_a_file_can_be_read_line_by_line() -> None:
    sink = InMemoryFileSink()
    sink.append(TENANT, "b/./orders.jsonl", [b"1", b"2"])
    sink.append(TENANT, "a.jsonl", [])
    sink.append(OTHER_TENANT, "c.jsonl", [b"3"])
    assert sink.lines(TENANT, "b/orders.jsonl") == [b"1", b"2"]
    assert sink.names(TENANT) == ["a.jsonl", "b/orders.jsonl"]


@pytest.mark.parametrize("name", ["..\\x", "C:\\x", "\\\\server\\share", "a\\..\\..\\x"])
def test_a_name_that_leads_out_on_windows_leads_out(name: str) -> None:
    with pytest.raises(PermanentError, match="leads out"):
        InMemoryFileSink().append(TENANT, name, [b"{}"])


def test_a_line_with_a_line_break_is_refused() -> None:
    with pytest.raises(PermanentError, match="line break"):
        InMemoryFileSink().append(TENANT, "a.jsonl", [b"{\n}"])


def test_what_is_in_a_queue_can_be_looked_at(queue: InMemoryQueue) -> None:
    queue.publish([outgoing("first"), outgoing("second", delay=MINUTE, ordering_key="k")])
    queue.receive(QUEUE, max_messages=1, visibility=MINUTE)
    first, second = queue.messages(QUEUE)
    assert (first.receive_count, first.visible_at, first.group) == (1, START + MINUTE, None)
    assert (second.receive_count, second.visible_at, second.group) == (0, START + MINUTE, (TENANT, "k"))
    assert queue.messages(QueueName("unknown")) == ()


def test_a_queue_knows_when_its_next_message_can_be_received(queue: InMemoryQueue) -> None:
    assert queue.next_visible_at([QUEUE]) is None
    queue.publish([outgoing("first", ordering_key="k"), outgoing("second", ordering_key="k")])
    assert queue.next_visible_at([QUEUE]) == START
    assert queue.next_visible_at([QueueName("another")]) is None
    (first,) = queue.receive(QUEUE, max_messages=10, visibility=MINUTE)
    queue.settle([Settlement(first, Retry(2 * MINUTE))])
    assert queue.next_visible_at([QUEUE]) == START + 2 * MINUTE


def test_a_batch_with_one_message_that_cannot_be_sent_is_refused_whole(queue: InMemoryQueue) -> None:
    with pytest.raises(PermanentError, match="too-late"):
        queue.publish([outgoing("good"), outgoing("too-late", delay=timedelta(days=8))])
    assert queue.depths() == {}


def test_a_receipt_of_another_transport_settles_nothing(queue: InMemoryQueue) -> None:
    queue.publish([outgoing()])
    (delivery,) = queue.receive(QUEUE, max_messages=1, visibility=MINUTE)
    foreign = type(delivery)(QUEUE, delivery.body, "arn:aws:sqs", 1)
    queue.settle([Settlement(foreign, Retry(timedelta(0)))])
    assert queue.receive(QUEUE, max_messages=1, visibility=MINUTE) == []


def test_properties_changed_after_sending_change_nothing_that_was_sent(queue: InMemoryQueue) -> None:
    properties = {"kind": "express"}
    message = Outgoing(
        queue=QUEUE, tenant_id=TENANT, message_id=MessageId("1"), body=b"{}", properties=properties
    )
    units = InMemoryUnitOfWorkFactory(InMemoryStore())
    queue.publish([message])
    with units.begin(TENANT) as unit:
        (row,) = unit.outbox.add([message], now=START)
        unit.commit()
    properties["kind"] = "changed"
    assert queue.messages(QUEUE)[0].outgoing.properties == {"kind": "express"}
    assert isinstance(row.effect, Outgoing)
    assert row.effect.properties == {"kind": "express"}


def test_versions_that_were_handed_in_or_out_share_nothing_with_the_store() -> None:
    units = InMemoryUnitOfWorkFactory(InMemoryStore())
    field_hashes = {"total": "0123456789abcdef"}
    new = head(key())
    with units.begin(TENANT) as unit:
        unit.entities.write([HeadWrite(new, 0)], [version_of(new, field_hashes=field_hashes)])
        field_hashes["total"] = "changed"
        unit.commit()
    for _ in range(2):
        with units.begin(TENANT) as unit:
            (version,) = unit.entities.versions(new.id)
            assert version.field_hashes == {"total": "0123456789abcdef"}
            version.field_hashes["total"] = "changed"


def test_two_units_of_work_at_once_lose_the_race_at_the_commit() -> None:
    units = InMemoryUnitOfWorkFactory(InMemoryStore())
    new = head(key())
    with units.begin(TENANT) as winner, units.begin(TENANT) as loser:
        for unit in (winner, loser):
            unit.entities.write([HeadWrite(new, 0)], [version_of(new)])
        winner.commit()
        with pytest.raises(LostRaceError):
            loser.commit()
    with units.begin(TENANT) as winner, units.begin(TENANT) as loser:
        assert winner.journal.complete([entry()]) == loser.journal.complete([entry()]) == {"message-1"}
        winner.commit()
        with pytest.raises(LostRaceError):
            loser.commit()


def test_a_unit_of_work_reads_what_it_has_written_itself() -> None:
    units = InMemoryUnitOfWorkFactory(InMemoryStore())
    new = head(key())
    with units.begin(TENANT) as unit:
        unit.entities.write([HeadWrite(new, 0)], [version_of(new)])
        assert unit.entities.heads([new.id]) == {new.id: new}
        assert unit.entities.count() == len(unit.entities.versions(new.id)) == 1
        assert unit.journal.complete([entry()]) == {"message-1"}
        assert unit.journal.complete([entry()]) == set()


def test_a_unit_of_work_refuses_another_tenants_entity_by_name() -> None:
    units = InMemoryUnitOfWorkFactory(InMemoryStore())
    theirs = head(key(tenant=OTHER_TENANT))
    with units.begin(TENANT) as unit, pytest.raises(TenantError, match=r"customer-b.*customer-a"):
        unit.entities.write([HeadWrite(theirs, 0)], [])


def test_a_unit_of_work_that_has_ended_cannot_commit() -> None:
    units = InMemoryUnitOfWorkFactory(InMemoryStore())
    with units.begin(TenantId("acme")) as unit:
        unit.commit()
        with pytest.raises(RuntimeError, match="has ended"):
            unit.commit()
