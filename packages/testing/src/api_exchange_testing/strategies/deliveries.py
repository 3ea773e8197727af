"""Deliveries, and batches of them as an at-least-once queue hands them out."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.envelope import encode
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import QueueName
from api_exchange_testing.strategies.messages import messages
from api_exchange_testing.strategies.names import moments

_QUEUE = QueueName("orders-in")


def deliveries(
    *, message: SearchStrategy[Message] | None = None, queue: str = _QUEUE
) -> SearchStrategy[Delivery]:
    """One message each, as received for the first time or again.

    Args:
        message: what is delivered; any message if not given.
        queue: where it came from.
    """
    return st.builds(
        Delivery,
        queue=st.just(QueueName(queue)),
        body=(messages() if message is None else message).map(encode),
        receipt=st.uuids().map(str),
        receive_count=st.integers(min_value=1, max_value=20),
        enqueued_at=st.none() | moments(),
    )


def batches(
    *, message: SearchStrategy[Message] | None = None, queue: str = _QUEUE, max_size: int = 6
) -> SearchStrategy[list[Delivery]]:
    """What one receive may return: messages in any order, some of them twice, each delivery with its own receipt.

    Args:
        message: what is delivered; any message if not given.
        queue: where they came from.
        max_size: most deliveries.
    """
    each = messages() if message is None else message
    first = st.lists(each, max_size=max_size, unique_by=_identity)
    return _batches(first, st.integers(min_value=1, max_value=5), QueueName(queue), max_size)


@st.composite
def _batches(
    draw: DrawFn,
    first: SearchStrategy[list[Message]],
    receive_count: SearchStrategy[int],
    queue: QueueName,
    max_size: int,
) -> list[Delivery]:
    once = draw(first)
    again = draw(st.lists(st.sampled_from(once), max_size=max_size - len(once))) if once else []
    return [
        Delivery(
            queue=queue, body=encode(each), receipt=f"receipt-{number}", receive_count=draw(receive_count)
        )
        for number, each in enumerate(draw(st.permutations(once + again)))
    ]


def _identity(message: Message) -> tuple[str, str]:
    return message.tenant_id, message.id
