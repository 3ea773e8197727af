"""What the suite of the port does not ask about dead letters in SQS."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from typing_extensions import override

from api_exchange_aws.s3.payload_store import S3PayloadStore
from api_exchange_aws.sqs.dead_letters import SqsDeadLetters
from api_exchange_aws.sqs.inspector import SqsQueueInspector
from api_exchange_aws.sqs.wire import NOTES
from api_exchange_core.adapters.claim_check.queues import ClaimCheck, ClaimCheckConsumer, ClaimCheckPublisher
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.application.dead_letter_job import LEASE, CarryOutDeadLetterJob
from api_exchange_core.application.find_dead_letters import FindDeadLetters
from api_exchange_core.domain.claim_check import PayloadClaim, check_in, claim_in
from api_exchange_core.domain.dead_letter import Letter, LetterFilter, LetterId, LetterKind, contents
from api_exchange_core.domain.dead_letter_job import JobAction, JobOrder
from api_exchange_core.domain.delivery import DeadLetter, Delivery, Settlement
from api_exchange_core.domain.envelope import decode, encode
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing import (
    InMemoryDeadLetterJobs,
    InMemoryPayloadStore,
    InMemoryStore,
    InMemoryUnitOfWorkFactory,
    SeededRandomness,
)
from packages.aws.tests.ministack.server import ACCOUNT, REGION, Ministack
from packages.aws.tests.operators import ORDERS, TENANT, Desk, Killed, Life, ServiceSleeper

DEAD = QueueName("orders-dlq")
MINUTES = timedelta(minutes=2)
"""Longer than anybody hides a handful of letters."""


@pytest.fixture
def desk(ministack: Ministack) -> Desk:
    return Desk(ministack)


def test_five_of_three_hundred_letters_are_replayed_and_the_others_are_as_they_were(desk: Desk) -> None:
    desk.create(ORDERS)
    desk.bury(*(f"m-{number}" for number in range(300)))
    operator = desk.operator()
    ids = desk.ids(operator)
    chosen = [f"m-{number}" for number in (3, 77, 150, 151, 299)]
    replayed = operator.replay(ORDERS, [ids[name] for name in chosen], until=desk.clock.now())
    assert set(replayed) == {ids[name] for name in chosen}
    assert sorted(desk.queued()) == sorted(chosen)
    assert set(desk.ids(operator)) == ids.keys() - set(chosen)
    assert desk.observer.events == []


def test_letters_are_given_back_however_a_look_at_them_ends(desk: Desk) -> None:
    desk.create(ORDERS)
    desk.bury(*(f"m-{number}" for number in range(120)))
    operator = desk.operator()
    pages = operator.scan(ORDERS, until=desk.clock.now())
    assert len(next(pages)) == 100
    assert len(desk.scanned(desk.operator())) == 120
    assert len(next(pages)) == 20


def test_operators_who_look_at_once_each_see_all_letters(desk: Desk) -> None:
    desk.create(ORDERS)
    desk.bury(*(f"m-{number}" for number in range(60)))
    start = Barrier(4)

    def look(_: int) -> set[str]:
        operator = desk.operator(sleeper=SystemSleeper())
        start.wait()
        return set(desk.ids(operator))

    with ThreadPoolExecutor(4) as pool:
        assert [len(seen) for seen in pool.map(look, range(4))] == [60] * 4


def test_letters_of_an_operator_who_died_come_back_and_so_does_the_turn(desk: Desk) -> None:
    desk.create(ORDERS)
    desk.bury("m-1", "m-2")
    with pytest.raises(Killed):
        desk.scanned(desk.operator(Life(calls=4)))
    assert desk.received(DEAD) == []
    with pytest.raises(TransientError, match=r"somebody else goes through .*'orders-dlq'.*at most 0:01:00"):
        desk.scanned(desk.operator())
    desk.clock.advance(MINUTES)
    assert set(desk.ids(desk.operator())) == {"m-1", "m-2"}


def test_what_the_console_has_in_hand_is_told_and_not_taken_for_gone(desk: Desk) -> None:
    desk.create(ORDERS)
    desk.bury("m-1", "m-2")
    operator = desk.operator()
    ids = list(desk.ids(operator).values())
    until = desk.clock.now()
    desk.client.receive_message(QueueUrl=desk.queues[DEAD].url, MaxNumberOfMessages=1, VisibilityTimeout=30)
    assert len(desk.scanned(operator)) == 1
    assert [(one.name, one.facts) for one in desk.observer.events] == [
        ("dead_letters.unseen", {"queue": ORDERS, "about": 1})
    ]
    for act in (operator.replay, operator.discard):
        with pytest.raises(TransientError, match=r"about 1 letters .* nothing was done"):
            act(ORDERS, ids, until=until)
    assert desk.queued() == []
    desk.clock.advance(timedelta(seconds=30))
    assert set(operator.replay(ORDERS, ids, until=until)) == set(ids)


def test_a_queue_of_letters_that_sqs_moves_on_is_told(desk: Desk) -> None:
    desk.create(ORDERS)
    desk.client.create_queue(QueueName="shop-grave")
    policy = {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:shop-grave", "maxReceiveCount": 3}
    desk.client.set_queue_attributes(
        QueueUrl=desk.queues[DEAD].url, Attributes={"RedrivePolicy": json.dumps(policy)}
    )
    desk.scanned(desk.operator())
    assert [(one.name, one.facts) for one in desk.observer.events] == [
        ("dead_letters.redrive_policy", {"queue": DEAD})
    ]


@pytest.mark.parametrize("fifo", [False, True])
def test_what_sqs_itself_has_moved_is_foreign_and_goes_back_as_it_was(desk: Desk, *, fifo: bool) -> None:
    desk.create(ORDERS, fifo=fifo)
    redrive(desk, fifo=fifo)
    body = encode(desk.message("m-1")).decode()
    group: dict[str, Any] = {"MessageGroupId": "lorry-7"}
    attributes: dict[str, Any] = {
        "kind": {"DataType": "String", "StringValue": "a"},
        "seal": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        NOTES: {
            "DataType": "String",
            "StringValue": '{"group":7,"spent":4,"due_at":"2999-01-01T00:00:00+00:00"}',
        },
    }
    desk.client.send_message(
        QueueUrl=desk.queues[ORDERS].url,
        MessageBody=body,
        MessageAttributes=attributes,
        **group | ({"MessageDeduplicationId": "d-1"} if fifo else {}),
    )
    move_by_sqs(desk)
    operator = desk.operator()
    (stored,) = desk.scanned(operator)
    letter = Letter.of(stored)
    assert (letter.kind, letter.failure, stored.body) == (LetterKind.FOREIGN, None, body.encode())
    assert operator.get(stored.id) == stored
    assert list(operator.replay(ORDERS, [stored.id], until=desk.clock.now())) == [stored.id]
    (message,) = raw(desk, ORDERS)
    assert (message["Body"], message["Attributes"]["MessageGroupId"]) == (body, "lorry-7")
    assert message["MessageAttributes"].keys() == {"kind", "seal"}
    assert desk.scanned(operator) == []


def test_of_a_group_that_sqs_has_moved_the_next_ten_show_when_the_first_are_gone(desk: Desk) -> None:
    desk.create(ORDERS, fifo=True)
    redrive(desk, fifo=True)
    for number in range(12):
        desk.client.send_message(
            QueueUrl=desk.queues[ORDERS].url,
            MessageBody=f"{number}",
            MessageGroupId="lorry-7",
            MessageDeduplicationId=f"d-{number}",
        )
    for _ in range(2):
        move_by_sqs(desk)
    operator = desk.operator()
    until = desk.clock.now()
    first = desk.scanned(operator)
    assert [one.body for one in first] == [b"%d" % number for number in range(10)]
    assert [one.facts["about"] for one in desk.observer.events] == [2]
    assert len(operator.discard(ORDERS, [one.id for one in first], until=until)) == 10
    assert [one.body for one in desk.scanned(operator)] == [b"10", b"11"]


def test_a_replay_is_of_its_tenants_share_again(desk: Desk) -> None:
    desk.create(ORDERS)
    desk.bury("m-1")
    operator = desk.operator()
    operator.replay(ORDERS, list(desk.ids(operator).values()), until=desk.clock.now())
    assert [one["Attributes"]["MessageGroupId"] for one in raw(desk, ORDERS)] == [TENANT]


@pytest.mark.parametrize("fifo", [False, True])
def test_a_replay_that_is_killed_anywhere_and_repeated_loses_nothing(desk: Desk, *, fifo: bool) -> None:
    for calls in range(100):
        queue = QueueName(f"orders-{calls}")
        desk.create(queue, fifo=fifo)
        for name in ("m-1", "m-2", "m-3"):
            desk.bury(name, queue=queue, ordering_key="order-1")
        ids = list(desk.ids(desk.operator(), queue).values())
        until = desk.clock.now()
        killed = False
        try:
            desk.operator(Life(calls)).replay(queue, ids, until=until)
        except Killed:
            killed = True
            desk.clock.advance(MINUTES)
            desk.operator().replay(queue, ids, until=until)
        assert desk.scanned(desk.operator(), queue) == []
        names = desk.queued(queue)
        if fifo:  # where SQS drops what was sent already
            assert names == ["m-1", "m-2", "m-3"]
        else:
            assert set(names) == {"m-1", "m-2", "m-3"}
        if not killed:
            assert calls > 6
            return
    pytest.fail("it never came to its end")


@pytest.mark.parametrize("action", list(JobAction))
def test_a_job_of_an_operator_who_is_killed_is_brought_to_its_end_by_another(
    desk: Desk, action: JobAction
) -> None:
    desk.create(ORDERS)
    names = [f"m-{number}" for number in range(130)]
    desk.bury(*names)
    jobs, store = InMemoryDeadLetterJobs(), InMemoryStore()

    def at_work(letters: SqsDeadLetters) -> CarryOutDeadLetterJob:
        find = FindDeadLetters(letters, SqsQueueInspector(desk.client, desk.queues))
        sleeper, units = ServiceSleeper(desk.clock), InMemoryUnitOfWorkFactory(store)
        return CarryOutDeadLetterJob(find, letters, jobs, units, desk.clock, sleeper, SeededRandomness(1))

    order = JobOrder(action=action, filter=LetterFilter(queue=ORDERS), by="anna")
    job_id = at_work(desk.operator()).order(order)
    desk.clock.advance(timedelta(seconds=1))
    desk.bury("too-late")
    deaths = 0
    for calls in (3, 20, 45, 60, 75, 90):
        try:
            at_work(desk.operator(Life(calls))).run(job_id)
        except Killed:
            deaths += 1
            desk.clock.advance(LEASE + MINUTES)
    assert deaths > 2
    done = at_work(desk.operator()).run(job_id)
    assert sum(done.counts.values()) == 130
    assert done.counts.keys() <= {"replayed", "discarded", "unconfirmed"}
    assert set(desk.ids(desk.operator())) == {"too-late"}
    assert set(desk.queued()) == (set(names) if action is JobAction.REPLAY else set())


def test_large_contents_are_there_again_when_their_letters_are_replayed(desk: Desk) -> None:
    desk.create(ORDERS)
    s3 = desk.server.client("s3")
    s3.create_bucket(Bucket="shop-contents", CreateBucketConfiguration={"LocationConstraint": REGION})
    claims = ClaimCheck(S3PayloadStore(s3, "shop-contents"), limit=1_000)
    consumer = ClaimCheckConsumer(desk.consumer, claims)
    message = replace(desk.message("m-1"), payload={"text": "x" * 5_000})
    ClaimCheckPublisher(desk.publisher, claims).publish(
        [Outgoing(queue=ORDERS, tenant_id=TENANT, message_id=message.id, body=encode(message))]
    )

    def receive() -> Delivery:
        (delivery,) = consumer.receive(ORDERS, max_messages=10, visibility=MINUTES)
        return delivery

    consumer.settle([Settlement(receive(), DeadLetter(desk.letter(message), reason="dead"))])
    operator = desk.operator(claims=claims)
    (stored,) = desk.scanned(operator)
    assert claim_in(stored.body) is not None
    shown = operator.get(stored.id)
    assert shown is not None
    assert json.loads(contents(shown.body)) == message.payload
    kept = [one["Key"] for one in s3.list_objects_v2(Bucket="shop-contents")["Contents"]]
    written: list[str] = []
    s3.meta.events.register(
        "before-parameter-build.s3.PutObject", lambda params, **_: written.append(params["Key"])
    )
    operator.replay(ORDERS, [stored.id], until=desk.clock.now())
    assert written == kept  # as if new: it would have gone with the age that it had among the letters
    assert decode(receive().body) == replace(message, replays=1)


def test_while_s3_is_out_of_reach_letters_with_contents_there_stay_letters(desk: Desk) -> None:
    desk.create(ORDERS)
    body, _ = check_in(desk.letter(desk.message("m-1")))
    desk.client.send_message(QueueUrl=desk.queues[DEAD].url, MessageBody=body.decode())
    operator = desk.operator(claims=ClaimCheck(_OutOfReach(), limit=1_000))
    (stored,) = desk.scanned(operator)
    with pytest.raises(TransientError, match="S3 is away"):
        operator.replay(ORDERS, [stored.id], until=desk.clock.now())
    assert desk.scanned(operator) == [stored]
    assert desk.queued() == []


def test_a_letter_is_found_though_somebody_has_others_of_an_earlier_queue_in_hand(desk: Desk) -> None:
    desk.create("a-queue", ORDERS)
    desk.bury("elsewhere", queue=QueueName("a-queue"))
    desk.bury("m-1")
    operator = desk.operator()
    (stored,) = desk.scanned(operator)
    elsewhere = desk.queues[QueueName("a-queue-dlq")]
    desk.client.receive_message(QueueUrl=elsewhere.url, MaxNumberOfMessages=1, VisibilityTimeout=30)
    assert operator.get(stored.id) == stored
    with pytest.raises(TransientError, match="in the hands of others"):
        operator.get(LetterId(str(UUID(int=1))))


class _OutOfReach(InMemoryPayloadStore):
    @override
    def get(self, tenant_id: TenantId, claim: PayloadClaim) -> bytes | None:
        raise TransientError("S3 is away")


def redrive(desk: Desk, *, fifo: bool) -> None:
    """Let SQS move what was received once."""
    name = f"shop-{DEAD}" + (".fifo" if fifo else "")
    policy = {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", "maxReceiveCount": 1}
    desk.client.set_queue_attributes(
        QueueUrl=desk.queues[ORDERS].url, Attributes={"RedrivePolicy": json.dumps(policy)}
    )


def move_by_sqs(desk: Desk) -> None:
    """Receive all that there is, and once more after its time, when SQS finds that it was received too often."""
    raw(desk, ORDERS)
    desk.clock.advance(timedelta(minutes=1))
    raw(desk, ORDERS)


def raw(desk: Desk, queue: QueueName) -> list[Any]:
    answer = desk.client.receive_message(
        QueueUrl=desk.queues[queue].url,
        MaxNumberOfMessages=10,
        MessageSystemAttributeNames=["All"],
        MessageAttributeNames=["All"],
    )
    return list(answer.get("Messages", []))
