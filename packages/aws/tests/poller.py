"""What stands between SQS and a Lambda function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packages.aws.tests.ministack.server import ACCOUNT, REGION

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef


@dataclass(frozen=True, slots=True)
class Poller:
    """Lambda's poller of an event source mapping that reports batch item failures.

    Args:
        client: of SQS.
        invoke: hands an event to the function.
    """

    client: SQSClient
    invoke: Callable[[Mapping[str, Any]], Mapping[str, Any]]

    def poll(self, url: str, *, most: int = 10) -> list[str]:
        """Receive up to *most* messages, invoke the function with them, and remove what is not among the failures.

        Returns:
            The bodies of what was received.
        """
        received = self._received(url, most)
        if received:
            real = url.rpartition("/")[2]
            answered = self.invoke({"Records": [record_of(real, one) for one in received]})
            failed = {one["itemIdentifier"] for one in answered["batchItemFailures"]}
            self._remove(url, [one for one in received if one["MessageId"] not in failed])
        return [message["Body"] for message in received]

    def _received(self, url: str, most: int) -> list[MessageTypeDef]:
        received: list[MessageTypeDef] = []
        while len(received) < most:
            answer = self.client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(10, most - len(received)),
                VisibilityTimeout=900,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            if not answer.get("Messages"):
                break
            received += answer["Messages"]
        return received

    def _remove(self, url: str, done: list[MessageTypeDef]) -> None:
        for start in range(0, len(done), 10):
            # What is gone already SQS takes for deleted, and the stand-in for a failed entry.
            self.client.delete_message_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": one["MessageId"], "ReceiptHandle": one["ReceiptHandle"]}
                    for one in done[start : start + 10]
                ],
            )


def record_of(real_queue: str, message: MessageTypeDef) -> dict[str, Any]:
    """A received message as a record of the event ("Using Lambda with Amazon SQS")."""
    attributes = {
        name: {"stringValue": one.get("StringValue"), "dataType": one["DataType"]}
        for name, one in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": attributes,
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{real_queue}",
        "awsRegion": REGION,
    }
