"""Which queue of SQS a portable name stands for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from typing_extensions import override

from api_exchange_aws.errors import MISSING_QUEUE, code_of, translated
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import QueueName

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

FIFO_SUFFIX: Final = ".fifo"
"""What the names of FIFO queues end with (CreateQueue, QueueName)."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of SQS.

    Args:
        name: its portable name.
        url: what requests about it name.
        keeps_order: it is a FIFO queue.
    """

    name: QueueName
    url: str
    keeps_order: bool

    @override
    def __str__(self) -> str:
        """As errors call it."""
        return f"queue {self.name!r}"


@dataclass(frozen=True, slots=True)
class Queues:
    """Finds queues by their portable names, and remembers them for the life of the process.

    ``orders`` is the queue ``<prefix>orders``, or, if there is none, the FIFO queue ``<prefix>orders.fifo``. So whether
    a queue keeps order is decided where it is created, and nowhere else.

    Args:
        client: asks SQS; needs the right ``sqs:GetQueueUrl``.
        prefix: what this deployment's queues begin with, so that several can share an account.
    """

    client: SQSClient
    prefix: str = ""
    _found: dict[QueueName, Queue] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __getitem__(self, name: QueueName) -> Queue:
        """The queue called *name*.

        Raises:
            PermanentError: there is none, or this role may not ask; says how to mend it.
            TransientError: nobody could be asked.
        """
        queue = self._found.get(name)
        if queue is None:
            queue = self._found[name] = self._look_up(name)
        return queue

    def portable(self, name: str) -> QueueName | None:
        """The portable name of the queue that SQS calls *name*; None if it does not begin with the prefix."""
        if not name.startswith(self.prefix):
            return None
        return QueueName(name.removeprefix(self.prefix).removesuffix(FIFO_SUFFIX))

    def _look_up(self, name: QueueName) -> Queue:
        denied: PermanentError | None = None
        for suffix in ("", FIFO_SUFFIX):
            try:
                url = self._url(name, f"{self.prefix}{name}{suffix}")
            except PermanentError as error:  # the role may know the queue by its other name
                denied = error
            else:
                if url is not None:
                    return Queue(name, url, keeps_order=bool(suffix))
        if denied is not None:
            raise denied
        real = f"{self.prefix}{name}"
        raise PermanentError(
            f"there is no queue {real!r} in SQS, in this account and region: create it with "
            f"`aws sqs create-queue --queue-name {real}`, or, if its messages are to keep their order, "
            f"`aws sqs create-queue --queue-name {real}{FIFO_SUFFIX} --attributes FifoQueue=true`"
        )

    def _url(self, name: QueueName, real: str) -> str | None:
        with translated("sqs:GetQueueUrl", f"queue {name!r}"):
            try:
                return self.client.get_queue_url(QueueName=real)["QueueUrl"]
            except ClientError as error:
                if code_of(error) in MISSING_QUEUE:
                    return None
                raise
