"""What the queues of each platform refuse, and how they wait, hide and repeat."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
)
from api_exchange_core.domain.delivery import Complete, Retry, Settlement
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.output import MAX_DELAY
from api_exchange_testing import (
    PORTABLE,
    SERVICE_BUS,
    SQS,
    STORAGE_QUEUE,
    Harness,
    InMemoryQueue,
    Profile,
    VirtualClock,
)
from api_exchange_testing.conformance._samples import OTHER_TENANT, QUEUE, TENANT, outgoing

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLATFORMS = pytest.mark.parametrize(
    "profile", [PORTABLE, SQS, SERVICE_BUS, STORAGE_QUEUE], ids=lambda profile: profile.name
)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


def received(queue: InMemoryQueue, *, most: int = 100) -> list[str]:
    return [delivery.body.decode() for delivery in queue.receive(QUEUE, max_messages=most, visibility=MINUTE)]


@pytest.mark.parametrize(
    ("profile", "largest"),
    [(PORTABLE, 1024 * 1024), (SQS, 1024 * 1024), (SERVICE_BUS, 256 * 1024), (STORAGE_QUEUE, 48 * 1024)],
)
def test_the_largest_body_is_taken_and_one_byte_more_is_refused(
    clock: VirtualClock, profile: Profile, largest: int
) -> None:
    queue = InMemoryQueue(clock, profile=profile)
    queue.publish([outgoing(body=b"x" * largest)])
    with pytest.raises(PermanentError, match=f"message-1.*{profile.name}"):
        queue.publish([outgoing(body=b"x" * (largest + 1))])
    assert queue.depths() == {QUEUE: 1}


@pytest.mark.parametrize(("profile", "bytes_"), [(SQS, 4 + 7 + 6), (SERVICE_BUS, 4 + 7)])
def test_properties_count_as_the_platform_counts_them(
    clock: VirtualClock, profile: Profile, bytes_: int
) -> None:
    queue = InMemoryQueue(clock, profile=profile)
    body = b"x" * (profile.max_bytes - bytes_)
    sized = replace(outgoing(body=body), properties={"kind": "express"})
    queue.publish([sized])
    with pytest.raises(PermanentError):
        queue.publish([replace(sized, body=body + b"x")])


@PLATFORMS
def test_the_longest_delay_of_an_output_is_kept_in_as_many_sends_as_it_takes(
    clock: VirtualClock, profile: Profile
) -> None:
    queue = InMemoryQueue(clock, profile=profile)
    queue.publish([outgoing("late", delay=MAX_DELAY, body=b"late")])
    sends = 0
    while (due := queue.next_visible_at([QUEUE])) is not None and due < START + MAX_DELAY:
        clock.advance_to(due)
        assert received(queue) == []
        sends += 1
    assert sends == MAX_DELAY // profile.max_delay - 1
    clock.advance_to(START + MAX_DELAY)
    assert received(queue) == ["late"]
    with pytest.raises(PermanentError, match="is delayed by"):
        queue.publish([outgoing(delay=MAX_DELAY + timedelta.resolution)])


def test_a_receive_that_comes_late_hands_out_what_has_become_due_meanwhile(clock: VirtualClock) -> None:
    queue = InMemoryQueue(clock, profile=SQS)
    queue.publish([outgoing("late", delay=timedelta(hours=1), body=b"late")])
    clock.advance(timedelta(hours=2))
    assert received(queue) == ["late"]


def test_a_retry_waits_longer_than_one_send_could(clock: VirtualClock) -> None:
    queue = InMemoryQueue(clock, profile=SQS)
    queue.publish([outgoing()])
    (delivery,) = queue.receive(QUEUE, max_messages=1, visibility=MINUTE)
    queue.settle([Settlement(delivery, Retry(timedelta(hours=1)))])
    for _ in range(3):
        clock.advance(15 * MINUTE)
        assert received(queue) == []
    clock.advance(15 * MINUTE)
    (again,) = queue.receive(QUEUE, max_messages=1, visibility=MINUTE)
    assert again.receive_count == 2


@pytest.mark.parametrize(
    ("profile", "longest"),
    [(SQS, timedelta(hours=12)), (SERVICE_BUS, 5 * MINUTE), (STORAGE_QUEUE, timedelta(days=7))],
)
def test_hiding_a_message_for_longer_than_the_platform_does_is_refused(
    clock: VirtualClock, profile: Profile, longest: timedelta
) -> None:
    queue = InMemoryQueue(clock, profile=profile)
    queue.publish([outgoing()])
    too_long = longest + timedelta.resolution
    with pytest.raises(PermanentError, match=profile.name):
        queue.receive(QUEUE, max_messages=1, visibility=too_long)
    deliveries = queue.receive(QUEUE, max_messages=1, visibility=longest)
    with pytest.raises(PermanentError, match=profile.name):
        queue.extend(deliveries, visibility=too_long)
    assert queue.extend(deliveries, visibility=longest) == []


@pytest.mark.parametrize(
    ("profile", "most"), [(PORTABLE, 40), (SQS, 10), (SERVICE_BUS, 40), (STORAGE_QUEUE, 32)]
)
def test_a_receive_answers_with_a_batch_of_the_platform_at_most(
    clock: VirtualClock, profile: Profile, most: int
) -> None:
    queue = InMemoryQueue(clock, profile=profile)
    queue.publish([outgoing(f"message-{number}") for number in range(40)])
    assert len(received(queue)) == most


@pytest.mark.parametrize(
    ("profile", "sent"), [(PORTABLE, 0), (SQS, 10), (SERVICE_BUS, 0), (STORAGE_QUEUE, 12)]
)
def test_batches_before_the_one_that_is_refused_have_been_sent(
    clock: VirtualClock, profile: Profile, sent: int
) -> None:
    queue = InMemoryQueue(clock, profile=profile)
    good = [outgoing(f"message-{number}") for number in range(12)]
    with pytest.raises(PermanentError, match="too-large"):
        queue.publish([*good, outgoing("too-large", body=b"x" * (profile.max_bytes + 1))])
    assert queue.depths() == ({QUEUE: sent} if sent else {})


@pytest.mark.parametrize(("profile", "first"), [(PORTABLE, ["a-1", "b-1"]), (SQS, ["a-1", "a-2"])])
def test_a_platform_that_cannot_tell_tenants_apart_hands_out_the_oldest(
    clock: VirtualClock, profile: Profile, first: list[str]
) -> None:
    queue = InMemoryQueue(clock, profile=profile)
    queue.publish(
        [
            outgoing("a-1", body=b"a-1"),
            outgoing("a-2", body=b"a-2"),
            outgoing("b-1", body=b"b-1", tenant=OTHER_TENANT),
        ]
    )
    assert received(queue, most=2) == first


def test_a_message_may_be_handed_out_once_more_after_it_was_completed(clock: VirtualClock) -> None:
    queue = InMemoryQueue(clock, profile=replace(SQS, redelivers_every=2))
    queue.publish([outgoing(f"message-{number}", body=b"%d" % number) for number in range(4)])
    seen = []
    while deliveries := queue.receive(QUEUE, max_messages=1, visibility=MINUTE):
        seen.append(deliveries[0].body.decode())
        queue.settle([Settlement(deliveries[0], Complete())])
    assert sorted(seen) == ["0", "1", "1", "2", "3", "3"]
    assert queue.depths() == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_bytes": 0},
        {"receive_batch": 0},
        {"send_batch": 0},
        {"max_delay": timedelta(0)},
        {"max_visibility": timedelta(0)},
        {"redelivers_every": -1},
    ],
)
def test_a_profile_that_no_platform_can_have_is_not_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="profile 'SQS'"):
        replace(SQS, **wrong)  # type: ignore[arg-type]  # one field at a time, of whatever type


class Enlarge(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_message("x" * 50_000)
        result.add_output_handler(QueueOutputHandler("out"))
        return result


@PLATFORMS
def test_an_output_that_the_platform_refuses_stays_in_the_outbox_where_the_test_sees_it(
    profile: Profile,
) -> None:
    exchange = Exchange("shop", tenants=[TENANT])
    exchange.queue("enlarge", "inbox", Enlarge)
    harness = Harness(exchange, profile=profile)
    harness.send("inbox", {})
    harness.run()
    refused = profile is STORAGE_QUEUE
    assert (len(harness.queue("out")), len(harness.outbox)) == ((0, 1) if refused else (1, 0))
    assert [event.facts["error"] for event in harness.events("outbox.stuck")] == ["PermanentError"] * refused
