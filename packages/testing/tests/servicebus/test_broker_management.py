"""Requests to ``$management`` and tokens for ``$cbs`` that the client library does not make."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.servicebus import Condition, Policy, Queue, RefusedError, Right
from api_exchange_testing.servicebus.access import Door, Grant, check
from api_exchange_testing.servicebus.management import Management
from api_exchange_testing.servicebus.model.message import Message
from api_exchange_testing.servicebus.model.namespace import Namespace
from api_exchange_testing.servicebus.model.queue import MessageQueue
from api_exchange_testing.servicebus.wire.envelope import messages_in
from api_exchange_testing.servicebus.wire.requests import Request, read_request
from api_exchange_testing.servicebus.wire.values import SectionCode, section

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def namespace() -> Namespace:
    return Namespace([Queue("q", requires_session=False)], [], clock=VirtualClock(START), new_token=uuid4)


@pytest.fixture
def management(namespace: Namespace) -> Management:
    return Management(namespace, max_message_size=100)


@pytest.fixture
def queue(namespace: Namespace) -> MessageQueue:
    return namespace.receivable("q")


def request(operation: str, **body: object) -> Request:
    return Request(
        1, f"com.microsoft:{operation}", {name.replace("_", "-"): value for name, value in body.items()}
    )


def condition_of(call: Callable[[], object]) -> Condition:
    with pytest.raises(RefusedError) as refused:
        call()
    return refused.value.condition


def lock(queue: MessageQueue) -> UUID:
    queue.put([Message(properties={"a": 1})])
    held = queue.receive()
    assert held is not None
    assert held.lock is not None
    return held.lock.token


def test_an_operation_that_is_not_there_is_refused_with_those_that_are(management: Management) -> None:
    with pytest.raises(RefusedError, match=r"'com.microsoft:add-rule'; it has renew-lock") as refused:
        management.answer("q", request("add-rule"))
    assert refused.value.condition is Condition.NOT_IMPLEMENTED


def test_an_abandoned_message_comes_back_with_what_was_changed(
    management: Management, queue: MessageQueue
) -> None:
    token = lock(queue)
    management.answer(
        "q",
        request(
            "update-disposition",
            disposition_status="abandoned",
            lock_tokens=[token],
            properties_to_modify={"b": 2},
        ),
    )
    assert [held.message.properties for held in queue.peek()] == [{"a": 1, "b": 2}]


def test_a_disposition_that_is_not_there_is_an_error(management: Management, queue: MessageQueue) -> None:
    token = lock(queue)
    asked = request("update-disposition", disposition_status="eaten", lock_tokens=[token])
    assert condition_of(lambda: management.answer("q", asked)) is Condition.ARGUMENT_ERROR


@pytest.mark.parametrize(
    "wrong",
    [
        request("renew-lock"),
        request("renew-lock", lock_tokens=["one"]),
        request("schedule-message", messages=[{"message": "text"}]),
        request("peek-message", from_sequence_number="one", message_count=1),
        Request(1, "com.microsoft:get-session-state", "s"),
    ],
)
def test_a_request_with_the_wrong_entries_is_an_error(management: Management, wrong: Request) -> None:
    assert condition_of(lambda: management.answer("q", wrong)) is Condition.ARGUMENT_ERROR


def test_a_scheduled_message_is_not_larger_than_a_sent_one(
    management: Management, queue: MessageQueue
) -> None:
    encoded = section(SectionCode.DATA, b"x" * 100)
    asked = request("schedule-message", messages=[{"message": encoded}])
    assert condition_of(lambda: management.answer("q", asked)) is Condition.TOO_LARGE
    assert list(queue.peek()) == []


@pytest.mark.parametrize("nonsense", [b"\xff\xff", b"\x40", section(SectionCode.DATA, b"x") + b"\x00"])
def test_what_is_no_message_cannot_be_decoded(nonsense: bytes) -> None:
    assert condition_of(lambda: messages_in(nonsense)) is Condition.DECODE_ERROR


def test_a_message_without_an_id_is_no_request() -> None:
    assert condition_of(lambda: read_request(section(SectionCode.VALUE, None))) is Condition.DECODE_ERROR


POLICY = Policy("p", "a2V5", Right.SEND)


def token(*, key: str = "a2V5", ends: datetime = START + timedelta(hours=1), name: str = "p") -> str:
    where, until = quote("sb://127.0.0.1:1/orders", safe=""), str(int(ends.timestamp()))
    signature = base64.b64encode(
        hmac.digest(key.encode(), f"{where}\n{until}".encode(), hashlib.sha256)
    ).decode()
    return f"SharedAccessSignature sr={where}&sig={quote(signature, safe='')}&se={until}&skn={name}"


def test_a_good_token_grants_what_its_policy_allows_where_it_was_made_for() -> None:
    grant = Door([POLICY]).admit(token(), START)
    assert grant == Grant("orders", POLICY)
    check([grant], "Orders", Right.SEND)
    check([grant], "orders/$DeadLetterQueue", Right.SEND)
    assert condition_of(lambda: check([grant], "orders2", Right.SEND)) is Condition.UNAUTHORIZED
    assert condition_of(lambda: check([grant], "orders", Right.LISTEN)) is Condition.UNAUTHORIZED


@pytest.mark.parametrize(
    "bad", [token(key="b3RoZXI="), token(name="q"), token(ends=START), "SharedAccessSignature ", "eyJhbGciOi"]
)
def test_a_bad_token_grants_nothing(bad: str) -> None:
    assert condition_of(lambda: Door([POLICY]).admit(bad, START)) is Condition.UNAUTHORIZED
