"""A publisher and a consumer that part large messages from their content, around those of a transport."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from typing_extensions import override

from api_exchange_core.domain.claim_check import check_in, claim_in, redeem, tenant_in
from api_exchange_core.domain.delivery import Complete, DeadLetter, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.errors import InvalidMessageError, PermanentError
from api_exchange_core.domain.names import QueueName, TenantId, tenant_id
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.payload_store import PayloadStore


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """Contents of messages on their way into a store and out of it.

    Args:
        store: keeps the contents.
        limit: bytes of the largest body that travels whole.
    """

    store: PayloadStore
    limit: int

    def checked_in(self, body: bytes, tenant_id: TenantId) -> bytes:
        """*body* as it travels: as it is, or with a claim in place of its content, which is kept by then.

        Raises:
            TransientError: the store could not be reached.
        """
        if len(body) <= self.limit:
            return body
        try:
            envelope, content = check_in(body)
        except InvalidMessageError:
            return body  # the transport says that it is too large
        self.store.put(tenant_id, content)
        return envelope

    def redeemed(self, delivery: Delivery) -> Delivery:
        """*delivery* with the whole message.

        One whose content cannot be had for good is left as it is: who decodes it finds the claim, and dead-letters it.

        Raises:
            TransientError: the store could not be reached.
        """
        try:
            claim = claim_in(delivery.body)
            if claim is None:
                return delivery
            content = self.store.get(tenant_id(tenant_in(delivery.body) or ""), claim)
            return delivery if content is None else replace(delivery, body=redeem(delivery.body, content))
        except PermanentError:
            return delivery

    def settled(self, settlement: Settlement) -> Settlement:
        """*settlement* as its transport can carry it out: what it may send anew has a claim where it needs one.

        That is a letter, which has its failure on top of what came in, and the message itself if it is to come back.

        Raises:
            TransientError: the store could not be reached.
        """
        match settlement.disposition:
            case DeadLetter(letter) as dead:
                return replace(settlement, disposition=replace(dead, letter=self._small(letter)))
            case Retry() | Defer():
                delivery = settlement.delivery
                return replace(settlement, delivery=replace(delivery, body=self._small(delivery.body)))
            case Complete():
                return settlement

    def _small(self, body: bytes) -> bytes:
        if len(body) <= self.limit:
            return body
        try:
            tenant = tenant_in(body)
        except InvalidMessageError:
            return body
        if tenant is None:  # of bytes that were no message: they stay whole
            return body
        return self.checked_in(body, TenantId(tenant))


@dataclass(frozen=True, slots=True)
class ClaimCheckPublisher(MessagePublisher):
    """Sends what is too large for its transport with a claim.

    Args:
        publisher: of the transport.
        claims: part and keep.
    """

    publisher: MessagePublisher
    claims: ClaimCheck

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        self.publisher.publish(
            [replace(one, body=self.claims.checked_in(one.body, one.tenant_id)) for one in messages]
        )


class ClaimCheckConsumer(MessageConsumer):
    """Hands out whole messages, and dead-letters them with a claim where they need one.

    Args:
        consumer: of the transport.
        claims: part and join.
    """

    def __init__(self, consumer: MessageConsumer, claims: ClaimCheck) -> None:
        self._consumer = consumer
        self._claims = claims

    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        deliveries = self._consumer.receive(queue, max_messages=max_messages, visibility=visibility)
        return [self._claims.redeemed(one) for one in deliveries]

    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        return self._consumer.extend(deliveries, visibility=visibility)

    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        self._consumer.settle([self._claims.settled(one) for one in settlements])
