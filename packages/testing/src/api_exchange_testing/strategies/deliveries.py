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


@st.composite
def batches(
    draw: DrawFn,
    *,
    message: SearchStrategy[Message] | None = None,
    queue: str = _QUEUE,
    max_size: int = 6,
) -> list[Delivery]:
    """What one receive may return: messages in any order, some of them twice, each delivery with its own receipt.

    Args:
        draw: Hypothesis' own.
        message: what is delivered; any message if not given.
        queue: where they came from.
        max_size: most deliveries.
    """
    first = draw(st.lists(messages() if message is None else message, max_size=max_size, unique_by=_identity))
    again = draw(st.lists(st.sampled_from(first), max_size=max_size - len(first))) if first else []
    return [
        Delivery(
            queue=QueueName(queue),
            body=encode(each),
            receipt=f"receipt-{number}",
            receive_count=draw(st.integers(min_value=1, max_value=5)),
        )
        for number, each in enumerate(draw(st.permutations(first + again)))
    ]


def _identity(message: Message) -> tuple[str, str]:
    return message.tenant_id, message.id
