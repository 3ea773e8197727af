"""What AWS refuses, in words that say what to do; the answers are given to real clients over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config

from api_exchange_aws.secrets import ParameterStoreSecrets, SecretsManagerSecrets
from api_exchange_aws.sqs.consumer import SqsMessageConsumer
from api_exchange_aws.sqs.publisher import SqsMessagePublisher
from api_exchange_aws.sqs.queues import Queues
from api_exchange_aws.sqs.received import Receipt
from api_exchange_aws.sqs.settling import Settling
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.domain.delivery import Complete, DeadLetter, Delivery, Retry, Settlement
from api_exchange_core.domain.errors import ExchangeError, PermanentError, TransientError
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.secret_source import SecretSource
from packages.aws.tests.answering import Answers, answering, error

QUEUE = QueueName("orders")
FOUND = {"GetQueueUrl": (200, {"QueueUrl": "http://127.0.0.1/123456789012/orders"})}
MESSAGES = [
    Outgoing(queue=QUEUE, tenant_id=TenantId("customer-a"), message_id=MessageId(f"m-{n}"), body=b'"secret"')
    for n in range(3)
]
RECEIPT = Receipt(handle="handle", sqs_id="id", group=None, deduplication=None, attributes={})
DELIVERY = Delivery(QUEUE, b'"secret"', str(RECEIPT), 1)


def client(service: str, url: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # the name of the service is not known before it runs
        service,
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )


def publish(url: str) -> None:
    sqs = client("sqs", url)
    SqsMessagePublisher(sqs, Queues(sqs), SystemClock()).publish(MESSAGES)


def consumer(url: str) -> SqsMessageConsumer:
    sqs = client("sqs", url)
    queues, clock = Queues(sqs), SystemClock()
    return SqsMessageConsumer(sqs, queues, clock, Settling(sqs, queues, clock))


def receive(url: str) -> None:
    consumer(url).receive(QUEUE, max_messages=10, visibility=timedelta(minutes=1))


@pytest.mark.parametrize(
    ("act", "action"),
    [(publish, "SendMessageBatch"), (receive, "ReceiveMessage")],
    ids=["publish", "receive"],
)
@pytest.mark.parametrize(
    ("code", "expected", "said"),
    [
        ("AccessDeniedException", PermanentError, "AWS denies sqs:.* on queue 'orders'.*role"),
        ("KmsAccessDenied", PermanentError, "AWS denies sqs:"),
        ("RequestThrottled", TransientError, "throttles"),
        ("OverLimit", TransientError, "throttles"),
        ("InternalError", TransientError, "InternalError"),
        ("InvalidMessageContents", PermanentError, "refuses"),
        ("QueueDoesNotExist", PermanentError, "there is no queue 'orders', or no longer"),
    ],
)
def test_a_refused_request_is_told_by_action_and_queue(
    act: Callable[[str], None], action: str, code: str, expected: type[ExchangeError], said: str
) -> None:
    with (
        answering(FOUND | {action: error(code)}) as url,
        pytest.raises(expected, match=said) as raised,
    ):
        act(url)
    assert "secret" not in str(raised.value)


def test_a_missing_queue_is_told_with_how_to_make_it() -> None:
    with (
        answering({"GetQueueUrl": error("QueueDoesNotExist")}) as url,
        pytest.raises(PermanentError, match=r"create-queue --queue-name orders`.*orders\.fifo"),
    ):
        publish(url)


def test_a_server_out_of_reach_is_transient() -> None:
    with answering({}) as url:
        pass
    with pytest.raises(TransientError, match="sqs:GetQueueUrl on queue 'orders': EndpointConnectionError"):
        publish(url)


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        ({"Code": "InternalError", "SenderFault": False}, TransientError),
        ({"Code": "RequestThrottled", "SenderFault": True}, TransientError),
        ({"Code": "InvalidMessageContents", "SenderFault": True}, PermanentError),
    ],
)
def test_one_refused_message_of_a_request_is_named(
    failed: dict[str, Any], expected: type[ExchangeError]
) -> None:
    sent = {"Successful": [], "Failed": [{"Id": "1", "Message": "no", **failed}]}
    with (
        answering(FOUND | {"SendMessageBatch": (200, sent)}) as url,
        pytest.raises(expected, match="message 'm-1' to queue 'orders'"),
    ):
        publish(url)


def failing_entry(code: str, *, ours: bool = False) -> tuple[int, dict[str, Any]]:
    failed = {"Id": "0", "Code": code, "SenderFault": ours, "Message": "no"}
    return 200, {"Successful": [], "Failed": [failed]}


@pytest.mark.parametrize("code", ["ReceiptHandleIsInvalid", "MessageNotInflight"])
@pytest.mark.parametrize("ending", [Complete(), Retry(timedelta(0)), DeadLetter(b"{}", reason="dead")])
def test_a_worthless_receipt_settles_nothing_and_sends_nothing(
    code: str, ending: Complete | Retry | DeadLetter
) -> None:
    answers: Answers = FOUND | {
        "DeleteMessageBatch": failing_entry(code, ours=True),
        "ChangeMessageVisibilityBatch": failing_entry(code, ours=True),
    }
    with answering(answers) as url:  # that it does not know SendMessageBatch would end the test
        consumer(url).settle([Settlement(DELIVERY, ending)])
        assert list(consumer(url).extend([DELIVERY], visibility=timedelta(minutes=1))) == [DELIVERY]


@pytest.mark.parametrize("ending", [Complete(), Retry(timedelta(0)), DeadLetter(b"{}", reason="dead")])
def test_what_could_not_be_settled_is_transient(ending: Complete | Retry | DeadLetter) -> None:
    answers: Answers = FOUND | {
        "DeleteMessageBatch": failing_entry("InternalError"),
        "ChangeMessageVisibilityBatch": failing_entry("InternalError"),
    }
    with answering(answers) as url, pytest.raises(TransientError, match="InternalError"):
        consumer(url).settle([Settlement(DELIVERY, ending)])


def test_no_message_is_removed_whose_letter_was_not_stored() -> None:
    answers: Answers = FOUND | {
        "ChangeMessageVisibilityBatch": (200, {"Successful": [{"Id": "0"}], "Failed": []}),
        "SendMessageBatch": failing_entry("InternalError"),
    }
    # Asked to remove the message, the server would end the connection, which is another error.
    with answering(answers) as url, pytest.raises(TransientError, match=r"SendMessage.*InternalError"):
        consumer(url).settle([Settlement(DELIVERY, DeadLetter(b"{}", reason="dead"))])


def test_a_visibility_that_sqs_cannot_keep_is_refused() -> None:
    with answering(FOUND) as url, pytest.raises(PermanentError, match="12:00:00 at most"):
        consumer(url).receive(QUEUE, max_messages=1, visibility=timedelta(hours=13))


SOURCES: list[tuple[str, str, type[SecretsManagerSecrets | ParameterStoreSecrets]]] = [
    ("secretsmanager", "GetSecretValue", SecretsManagerSecrets),
    ("ssm", "GetParameter", ParameterStoreSecrets),
]


@pytest.mark.parametrize(("service", "action", "source"), SOURCES)
@pytest.mark.parametrize(
    ("code", "expected", "said"),
    [
        ("AccessDeniedException", LookupError, "may not read .*'shop/key'.*: allow "),
        ("ThrottlingException", TransientError, "throttles"),
        ("InternalServiceError", TransientError, "InternalServiceError"),
    ],
)
def test_a_secret_that_is_not_to_be_had_is_told_by_its_name(
    service: str, action: str, source: Callable[[Any], SecretSource], code: str, expected: type, said: str
) -> None:
    with answering({action: error(code)}) as url, pytest.raises(expected, match=said):
        source(client(service, url)).secret("shop/key")
