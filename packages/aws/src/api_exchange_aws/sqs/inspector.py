"""Looking into queues of SQS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from api_exchange_aws.errors import translated
from api_exchange_aws.sqs.queues import Queues
from api_exchange_core.domain.names import QueueName
from api_exchange_core.ports.queue_inspector import QueueInspector

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

_PAGE: Final = 1000
_COUNTS: Final[tuple[QueueAttributeNameType, ...]] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True, slots=True)
class SqsQueueInspector(QueueInspector):
    """Counts the messages of all queues that begin with the deployment's prefix; without one, of all in the account.

    It takes a request a queue, and the rights ``sqs:ListQueues`` and ``sqs:GetQueueAttributes``. SQS's counts are
    approximate, and settle about a minute after the last message was sent (GetQueueAttributes).
    """

    client: SQSClient
    queues: Queues

    @override
    def depths(self) -> Mapping[QueueName, int]:
        depths: dict[QueueName, int] = {}
        for name, url in self._urls():
            with translated("sqs:GetQueueAttributes", f"queue {name!r}"):
                counts = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=_COUNTS)["Attributes"]
            depth = sum(int(counts[one]) for one in _COUNTS)
            if depth:
                depths[name] = depths.get(name, 0) + depth
        return depths

    def _urls(self) -> Iterator[tuple[QueueName, str]]:
        with translated("sqs:ListQueues", "the queues of the account"):
            pages = self.client.get_paginator("list_queues").paginate(
                QueueNamePrefix=self.queues.prefix, PaginationConfig={"PageSize": _PAGE}
            )
            urls = [url for page in pages for url in page.get("QueueUrls", [])]
        for url in urls:
            name = self.queues.portable(url.rpartition("/")[2])
            if name is not None:
                yield name, url
