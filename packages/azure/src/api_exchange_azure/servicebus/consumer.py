"""Receiving from Service Bus, where something runs that polls: a container, or a machine."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from api_exchange_azure.errors import translated
from api_exchange_azure.held import HeldMessages
from api_exchange_azure.servicebus.copies import ServiceBusCopies
from api_exchange_azure.servicebus.link import Handed, Link
from api_exchange_azure.servicebus.sessions import SessionSource
from api_exchange_core.domain.delivery import Complete, Defer, Delivery, Disposition, Retry, Settlement
from api_exchange_core.domain.errors import ExchangeError, TransientError
from api_exchange_core.domain.names import QueueName
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_consumer import MessageConsumer

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusClient

_NO_TIME: Final = timedelta(0)


class ServiceBusMessageConsumer(MessageConsumer):
    """Takes messages out of queues of Service Bus under peek-lock, the oldest first, of whatever tenant.

    How long a message is locked is the queue's to say (its lock duration, 5 minutes at most); a renewal is for as long
    again. The visibility that callers ask for is to be no longer than that. Of queues that require sessions it accepts
    sessions, and keeps order within each; see `SessionSource`.

    What the broker sends while nobody receives lies in the link for up to 5 seconds, locked, before the client library
    gives it back, and longer if the process was stopped meanwhile. Whose lock has ended on the way is not handed out:
    it is in the queue again, or somebody else's.

    Args:
        client: of the namespace.
        copies: of what is to wait, and letters.
        clock: tells whether locks are good, which this machine and Service Bus must agree on.
        prefix: what this deployment's queues begin with.
        session_queues: those that require sessions.
        wait: how long a receive may wait for the first message; more than nothing.

    Attributes:
        held: what was handed out, and is neither settled nor lost.
    """

    def __init__(
        self,
        client: ServiceBusClient,
        copies: ServiceBusCopies,
        clock: Clock,
        *,
        prefix: str = "",
        session_queues: AbstractSet[QueueName] = frozenset(),
        wait: timedelta,
    ) -> None:
        self._client = client
        self._copies = copies
        self._clock = clock
        self._prefix = prefix
        self._session_queues = session_queues
        self._wait = wait
        self._links: dict[QueueName, Link] = {}
        self._sessions: dict[QueueName, SessionSource] = {}
        self.held: HeldMessages[Handed] = HeldMessages()
        self._making = Lock()

    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        self._forget()
        if queue in self._session_queues:
            handed = self._of_sessions(queue).receive(max_messages, self._clock.now())
        else:
            handed = self._received(queue, max_messages)
        for one in handed:
            self._keep(one)
        return [one.received.delivery for one in handed]

    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        self._forget()
        for queue in {one.queue for one in deliveries} & self._sessions.keys():
            self._sessions[queue].keep(self._clock.now())
        return [one for one in deliveries if not self._extended(one)]

    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        self._forget()
        errors: list[ExchangeError] = []
        for settlement in settlements:
            one = self.held.take(settlement.delivery.receipt)
            if one is None:
                continue  # settled before, or lost
            try:
                self._end(one, settlement.disposition)
            except ExchangeError as error:
                self._lose(one)
                errors.append(error)
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Close all links; what is locked comes back when its lock ends, and what is in a session at once."""
        with self._making:
            for sessions in self._sessions.values():
                sessions.close()
            self._sessions.clear()
            for link in self._links.values():
                link.receiver.close()
            self._links.clear()
            self.held.clear()

    def _received(self, queue: QueueName, most: int) -> list[Handed]:
        link = self._link(queue)
        for _ in range(2):
            try:
                messages = link.receive(most, self._wait)
            except TransientError:
                # The library would open the link again in the time of a receive, which may be too short for it.
                self._drop(queue, link)
                raise
            now = self._clock.now()
            good = [one for one in messages if link.until(one, now=now) > now]
            if good or not messages:
                return [Handed.of(queue, one, link) for one in good]
        raise TransientError(
            f"receive on {link.named}: the lock of each message had ended when it came, by the clock of this machine: "
            "set it, or give the queue a longer lock duration"
        )

    def _forget(self) -> None:
        """What is locked for somebody else by now is settled by nobody here."""
        for one in self.held.forget(self._clock.now()):
            self._lose(one)

    def _keep(self, one: Handed) -> None:
        until = one.link.until(one.message, now=self._clock.now())
        self.held.keep(one.received.receipt, one, until=until)

    def _end(self, one: Handed, disposition: Disposition) -> None:
        sessions = self._sessions.get(one.received.queue)
        match disposition:
            case Complete():
                one.link.complete(one.message)
            case Retry(after) if after <= _NO_TIME:
                one.link.abandon(one.message)
            case Retry(after) | Defer(after) if sessions is not None and one.received.keeps_order:
                counts = isinstance(disposition, Retry)
                sessions.hold(one, until=self._clock.now() + after, counts=counts)
            case _:
                # A lock that cannot be renewed is gone: the message is somebody else's, and no copy of it is due.
                if one.link.renew(one.message):
                    self._copies.send([(one.received, disposition)])
                    one.link.complete(one.message)
        if sessions is not None:
            sessions.ended(one)

    def _extended(self, delivery: Delivery) -> bool:
        one = self.held.find(delivery.receipt)
        if one is None:
            return False
        if one.link.renew(one.message):
            self._keep(one)
            return True
        self.held.take(delivery.receipt)
        self._lose(one)
        return False

    def _lose(self, one: Handed) -> None:
        sessions = self._sessions.get(one.received.queue)
        if sessions is not None:
            sessions.lost(one)

    def _link(self, queue: QueueName) -> Link:
        with self._making:
            link = self._links.get(queue)
            if link is None:
                path = self._prefix + queue
                named = f"queue {path!r}"
                # Opened here: to open a link may take longer than a receive may wait.
                with translated("receive", named):
                    receiver = self._client.get_queue_receiver(path).__enter__()
                link = self._links[queue] = Link(receiver, named)
            return link

    def _drop(self, queue: QueueName, link: Link) -> None:
        with self._making:
            if self._links.get(queue) is link:
                del self._links[queue]
        link.receiver.close()

    def _of_sessions(self, queue: QueueName) -> SessionSource:
        with self._making:
            sessions = self._sessions.get(queue)
            if sessions is None:
                path = self._prefix + queue
                sessions = self._sessions[queue] = SessionSource(self._client, queue, path, self._wait)
            return sessions
