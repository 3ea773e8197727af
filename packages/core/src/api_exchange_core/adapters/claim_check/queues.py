"""A publisher and a consumer that part large messages from their content, around those of a transport."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from typing_extensions import override

from api_exchange_core.domain.claim_check import check_in, claim_in, redeem, tenant_in
from api_exchange_core.domain.delivery import Complete, DeadLetter, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.errors import ExchangeError, InvalidMessageError, PermanentError, TransientError
from api_exchange_core.domain.names import QueueName, TenantId, tenant_id
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.payload_store import PayloadStore

_OUT_OF_REACH: Final = Defer(timedelta(minutes=1))


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
        """*delivery* with the whole message, as `whole` joins it."""
        whole = self.whole(delivery.body)
        return delivery if whole is delivery.body else replace(delivery, body=whole)

    def whole(self, body: bytes) -> bytes:
        """*body* with the content that it claims.

        One whose content cannot be had for good is left as it is: who decodes it finds the claim, and dead-letters it.

        Raises:
            TransientError: the store could not be reached.
        """
        try:
            content = self._content(body)
            return body if content is None else redeem(body, content)
        except PermanentError:
            return body

    def keep_anew(self, body: bytes) -> None:
        """Store the content that *body* claims, if it does and the store has it, as if it were new.

        A store forgets by age, and what has lain among the dead letters may be near its end.

        Raises:
            PermanentError: the store may not be written to.
            TransientError: the store could not be reached.
        """
        try:
            content = self._content(body)
        except PermanentError:
            return  # damaged, or no claim of ours: whoever receives the message finds that, and says so
        if content is not None:
            self.store.put(tenant_id(tenant_in(body) or ""), content)

    def _content(self, body: bytes) -> bytes | None:
        claim = claim_in(body)
        return None if claim is None else self.store.get(tenant_id(tenant_in(body) or ""), claim)

    def fitting(self, dead: DeadLetter) -> DeadLetter:
        """*dead* with a letter that travels: its failure is on top of what came in, and may have outgrown the limit.

        The letter of bytes that were no message names no tenant to keep them for, and stays whole.

        Raises:
            TransientError: the store could not be reached.
        """
        return replace(dead, letter=self._small(dead.letter))

    def settled(self, settlement: Settlement) -> Settlement:
        """*settlement* as its transport can carry it out: what it may send anew has a claim where it needs one.

        That is a letter, which has its failure on top of what came in, and the message itself if it is to come back.

        Raises:
            TransientError: the store could not be reached.
        """
        match settlement.disposition:
            case DeadLetter() as dead:
                return replace(settlement, disposition=self.fitting(dead))
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

    A message whose content cannot be had for now is deferred, without spending an attempt, and does not hold up others.
    If there are no others the error is raised, so that whoever receives does not ask again at once.

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
        whole: list[Delivery] = []
        waiting: list[Settlement] = []
        failed: TransientError | None = None
        for delivery in deliveries:
            try:
                whole.append(self._claims.redeemed(delivery))
            except TransientError as error:
                failed = error
                waiting.append(Settlement(delivery, _OUT_OF_REACH))
        self._consumer.settle(waiting)
        if failed is not None and not whole:
            raise failed
        return whole

    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        return self._consumer.extend(deliveries, visibility=visibility)

    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        settled: list[Settlement] = []
        failed: ExchangeError | None = None
        for one in settlements:
            try:
                settled.append(self._claims.settled(one))
            except ExchangeError as error:
                failed = error  # it comes back when its visibility ends; the others end as they should
        self._consumer.settle(settled)
        if failed is not None:
            raise failed
