"""What is wrong with the queues of a deployment, and with what starts its functions from them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from api_exchange_aws.errors import translated
from api_exchange_aws.sqs.queues import Queue, Queues
from api_exchange_core.application.topology import Finding, Severity
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.exchange import Exchange, Function
from api_exchange_core.domain.names import QueueName, dead_letter_queue

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_TIMES_THE_TIMEOUT: Final = 6
"""AWS's advice for a visibility timeout ("Using Lambda with Amazon SQS", configuring the queue)."""
_PARTIAL: Final = "ReportBatchItemFailures"
_SPARE: Final = 10
"""Receives that a redrive policy is to leave to deferrals of FIFO queues and to processes that die."""
_DEFAULTS: Final = {
    "VisibilityTimeout": "30",
    "MessageRetentionPeriod": "345600",
}  # seconds; SetQueueAttributes


@dataclass(frozen=True, slots=True)
class Doctor:
    """Compares a deployment with what its exchange needs. It changes nothing.

    It takes the rights ``sqs:GetQueueUrl``, ``sqs:GetQueueAttributes``, ``lambda:ListEventSourceMappings`` and
    ``lambda:GetFunctionConfiguration``.

    Args:
        queues: of the deployment.
        sqs: tells of queues.
        functions: a client of Lambda.
    """

    queues: Queues
    sqs: SQSClient
    functions: Any

    def examine(self, exchange: Exchange) -> Sequence[Finding]:
        """What is wrong, in the order of the functions; errors lose messages, or never take them.

        Raises:
            PermanentError: a right is missing.
            TransientError: AWS could not be asked.
        """
        return [finding for function in exchange.functions for finding in self._of(function)]

    def _of(self, function: Function) -> Iterator[Finding]:
        queue, letters = (
            self._queue(function.input_queue),
            self._queue(dead_letter_queue(function.input_queue)),
        )
        for found, name in (
            (queue, function.input_queue),
            (letters, dead_letter_queue(function.input_queue)),
        ):
            if found is None:
                yield _error(function, f"there is no queue {name!r}", "create it, as it was deployed")
        if queue is None:
            return
        attributes = self._attributes(queue)
        yield from _of_retention(function, attributes)
        yield from _of_redrive(function, attributes)
        if letters is not None:
            yield from _of_letters(function, attributes, self._attributes(letters))
        yield from self._of_mappings(function, queue, attributes)

    def _of_mappings(
        self, function: Function, queue: Queue, attributes: Mapping[str, str]
    ) -> Iterator[Finding]:
        mappings = self._mappings(attributes["QueueArn"])
        if not mappings:
            yield _error(
                function,
                f"no event source mapping starts a Lambda function from {queue}",
                "create one, unless a container polls that queue",
            )
        for mapping in mappings:
            yield from _of_mapping(function, queue, mapping)
            yield from _of_visibility(function, attributes, self._timeout(mapping["FunctionArn"]))

    def _queue(self, name: QueueName) -> Queue | None:
        try:
            return self.queues[name]
        except PermanentError as error:
            if error.__cause__ is None:  # AWS was asked, and knows none
                return None
            raise

    def _attributes(self, queue: Queue) -> Mapping[str, str]:
        with translated("sqs:GetQueueAttributes", str(queue)):
            answer = self.sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])
        return _DEFAULTS | {str(name): value for name, value in answer["Attributes"].items()}

    def _mappings(self, arn: str) -> Sequence[Mapping[str, Any]]:
        with translated("lambda:ListEventSourceMappings", f"queue {arn}"):
            pages = self.functions.get_paginator("list_event_source_mappings").paginate(EventSourceArn=arn)
            return [mapping for page in pages for mapping in page["EventSourceMappings"]]

    def _timeout(self, function: str) -> timedelta:
        with translated("lambda:GetFunctionConfiguration", f"function {function}"):
            answer = self.functions.get_function_configuration(FunctionName=function)
        return timedelta(seconds=answer["Timeout"])


def _of_mapping(function: Function, queue: Queue, mapping: Mapping[str, Any]) -> Iterator[Finding]:
    which = f"the event source mapping {mapping['UUID']} of {queue}"
    if _PARTIAL not in mapping.get("FunctionResponseTypes", []):
        yield _error(
            function,
            f"{which} does not report batch item failures: Lambda removes messages that are to be retried",
            f"set its FunctionResponseTypes to {_PARTIAL}",
        )
    if mapping.get("State") not in ("Enabled", "Enabling", "Creating", "Updating"):
        yield _error(function, f"{which} is {mapping.get('State')}: nothing is taken", "enable it")
    if queue.keeps_order and mapping.get("BatchSize", 1) > 1:
        yield _warning(
            function,
            f"{which} takes {mapping['BatchSize']} messages at once: those behind one that comes back are counted as "
            "tried",
            "set its BatchSize to 1, or allow for more attempts",
        )


def _of_visibility(
    function: Function, attributes: Mapping[str, str], timeout: timedelta
) -> Iterator[Finding]:
    visibility = timedelta(seconds=int(attributes["VisibilityTimeout"]))
    mend = f"set VisibilityTimeout to {_seconds(timeout * _TIMES_THE_TIMEOUT)} or more"
    said = f"messages of queue {function.input_queue!r} are hidden for {visibility}"
    if visibility < timeout:
        yield _error(
            function,
            f"{said}, less than the {timeout} that the function may take: they are handled twice",
            mend,
        )
    elif visibility < timeout * _TIMES_THE_TIMEOUT:
        yield _warning(
            function,
            f"{said}, less than {_TIMES_THE_TIMEOUT} times the {timeout} that the function may take",
            mend,
        )


def _of_retention(function: Function, attributes: Mapping[str, str]) -> Iterator[Finding]:
    kept = timedelta(seconds=int(attributes["MessageRetentionPeriod"]))
    retries = function.retry.max_delay * (function.retry.max_attempts - 1)
    if kept <= retries:
        yield _error(
            function,
            f"queue {function.input_queue!r} keeps messages for {kept}, and retries may take {retries}: SQS removes "
            "them before",
            f"set MessageRetentionPeriod to more than {_seconds(retries)}, or retry sooner",
        )


def _of_redrive(function: Function, attributes: Mapping[str, str]) -> Iterator[Finding]:
    queue = f"queue {function.input_queue!r}"
    if "RedrivePolicy" not in attributes:
        yield _warning(
            function,
            f"{queue} has no redrive policy: what ends its process before it is handled goes when it is too old",
            f"add one to {dead_letter_queue(function.input_queue)!r}",
        )
        return
    most = int(json.loads(attributes["RedrivePolicy"])["maxReceiveCount"])
    needed = function.retry.max_attempts + _SPARE
    if most < needed:
        yield _warning(
            function,
            f"SQS puts messages of {queue} aside after {most} receives, without their failure; the function tries "
            f"{function.retry.max_attempts} times",
            f"set maxReceiveCount to {needed} or more",
        )


def _of_letters(
    function: Function, attributes: Mapping[str, str], letters: Mapping[str, str]
) -> Iterator[Finding]:
    if int(letters["MessageRetentionPeriod"]) < int(attributes["MessageRetentionPeriod"]):
        yield _warning(
            function,
            f"queue {dead_letter_queue(function.input_queue)!r} keeps letters for less time than "
            f"{function.input_queue!r} keeps messages: what SQS itself puts aside has the age that it had",
            "set its MessageRetentionPeriod to 1209600, the longest",
        )


def _seconds(time: timedelta) -> int:
    return int(time.total_seconds())


def _error(function: Function, text: str, mend: str) -> Finding:
    return Finding(Severity.ERROR, text, mend, function.name)


def _warning(function: Function, text: str, mend: str) -> Finding:
    return Finding(Severity.WARNING, text, mend, function.name)
