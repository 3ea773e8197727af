"""What is sent, and what must come of it whatever happens on the way.

Every message id follows from its parent's, so the whole way of each order is known before anything runs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from api_exchange_core import Message
from api_exchange_core.domain.envelope import encode
from api_exchange_core.domain.identity import derived_message_id
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from benchmarks.torture.exchange import FEED, TENANTS

HOT = 5
"""Orders a tenant that are changed again and again by messages at the same time."""

_SHARES = {
    "plain": 60,
    "plain, two messages": 10,
    "plain, one message twice": 5,
    "hot": 20,
    "hot, one message twice": 3,
    "poison": 2,
}


@dataclass(frozen=True, slots=True)
class Edition:
    """One content of one order, which must take effect once however often it is sent.

    Args:
        tenant, order, edition: what it is.
        kind: "express", "standard", or "poison", which nobody can take.
        messages: the ids of the messages that bring it; more than one if the sender sent it anew.
    """

    tenant: TenantId
    order: str
    edition: int
    kind: str
    messages: tuple[MessageId, ...]

    def way(self, message: MessageId) -> Iterator[tuple[str, MessageId]]:
        """The functions that handle what *message* becomes, with the id that it has there."""
        for function in ("fetch-orders", "to-canonical", "route-orders", f"book-{self.kind}"):
            yield function, message
            message = derived_message_id(message, function, "0.0")

    def booking(self, message: MessageId) -> MessageId:
        """The id of what is booked for *message*, in the function that books."""
        return list(self.way(message))[-1][1]


@dataclass(frozen=True)
class Workload:
    """What is sent.

    Args:
        seed: the same seed is the same workload.
        size: messages that are sent, the copies included.
        tenants: whose they are.
    """

    seed: int
    size: int
    tenants: Sequence[str] = TENANTS

    @cached_property
    def _drawn(self) -> tuple[list[Edition], list[Outgoing]]:
        rng = random.Random(self.seed)
        editions: list[Edition] = []
        sent: list[Outgoing] = []
        while len(sent) < self.size:
            what = rng.choices(list(_SHARES), list(_SHARES.values()))[0]
            edition = _edition(rng, len(editions), what, self.tenants)
            editions.append(edition)
            sent += [_outgoing(edition, id_) for id_ in edition.messages]
            if "one message twice" in what:
                sent.append(sent[-1])
        rng.shuffle(sent)
        return editions, sent

    @property
    def editions(self) -> Sequence[Edition]:
        """What must take effect, and what must not."""
        return self._drawn[0]

    @property
    def sent(self) -> Sequence[Outgoing]:
        """The messages, in the order of their sending."""
        return self._drawn[1]

    @cached_property
    def copies(self) -> int:
        """Messages that say what another has said."""
        return len(self.sent) - len(self.editions)


def _edition(rng: random.Random, number: int, what: str, tenants: Sequence[str]) -> Edition:
    copies = 2 if "two messages" in what else 1
    return Edition(
        tenant=TenantId(rng.choice(tenants)),
        # The same order numbers for all tenants: only the tenant keeps them apart.
        order=f"hot-{rng.randrange(HOT)}" if "hot" in what else f"order-{number}",
        edition=number,
        kind="poison" if what == "poison" else rng.choice(("express", "standard")),
        messages=tuple(MessageId(f"feed-{number}-{copy}") for copy in range(copies)),
    )


def _outgoing(edition: Edition, id_: MessageId) -> Outgoing:
    message = Message(
        id=id_,
        tenant_id=edition.tenant,
        source="/torture",
        type="torture.order",
        payload={
            "tenant": edition.tenant,
            "order": edition.order,
            "edition": edition.edition,
            "kind": edition.kind,
        },
        time=datetime(2026, 1, 1, tzinfo=UTC),
        correlation_id=id_,
    )
    return Outgoing(queue=QueueName(FEED), tenant_id=edition.tenant, message_id=id_, body=encode(message))
