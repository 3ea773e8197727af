"""Adapters that are wrong in one point each, around the right ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

from api_exchange_core.domain.delivery import Complete, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.exclusive import OnLost
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.ports.journal import JournalEntry, Standing
from api_exchange_core.ports.leases import Leases
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.outbox import OutboxRelaySource, OutboxRow, OutgoingLine
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from api_exchange_testing.simulation.wiring import Ports


class Around:
    """Something with parts of it replaced."""

    def __init__(self, inner: object, **parts: object) -> None:
        self._inner = inner
        self.__dict__.update(parts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@dataclass(frozen=True)
class PublishesBeforeCommit(UnitOfWorkFactory):
    """Sends an output as soon as it is told of it."""

    units: UnitOfWorkFactory
    publisher: MessagePublisher

    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        def add(effects: Sequence[Outgoing | OutgoingLine], **_: object) -> Sequence[OutboxRow]:
            self.publisher.publish([one for one in effects if isinstance(one, Outgoing)])
            return ()

        with self.units.begin(tenant_id) as unit:
            yield cast("UnitOfWork", Around(unit, outbox=Around(unit.outbox, add=add)))


@dataclass(frozen=True)
class CommitsEntitiesEarly(UnitOfWorkFactory):
    """Writes entities in a transaction of their own: a crash after it, and their outputs are never made."""

    units: UnitOfWorkFactory

    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        def heads(ids: Any, **_: object) -> object:
            with self.units.begin(tenant_id) as other:
                return other.entities.heads(ids)

        def write(heads: Any, versions: Any) -> None:
            with self.units.begin(tenant_id) as other:
                other.entities.write(heads, versions)
                other.commit()

        with self.units.begin(tenant_id) as unit:
            yield cast("UnitOfWork", Around(unit, entities=Around(unit.entities, heads=heads, write=write)))


@dataclass(frozen=True)
class ForgetfulJournal(UnitOfWorkFactory):
    """Takes every message for a new one."""

    units: UnitOfWorkFactory

    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        def completed(_: FunctionName, __: Collection[MessageId]) -> frozenset[MessageId]:
            return frozenset()

        with self.units.begin(tenant_id) as unit:

            def complete(entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
                unit.journal.complete(entries)
                return frozenset(entry.message_id for entry in entries)

            journal = Around(unit.journal, completed=completed, complete=complete)
            yield cast("UnitOfWork", Around(unit, journal=journal))


@dataclass(frozen=True)
class CommitsWithoutItsFence(UnitOfWorkFactory):
    """Records what an exclusive function did as if nobody could have claimed it meanwhile."""

    units: UnitOfWorkFactory

    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        with self.units.begin(tenant_id) as unit:

            def complete(entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
                return unit.journal.complete([replace(entry, fence=0) for entry in entries])

            yield cast("UnitOfWork", Around(unit, journal=Around(unit.journal, complete=complete)))


@dataclass(frozen=True)
class ClaimsWhatIsHeld(UnitOfWorkFactory):
    """Takes over any claim, as if its lease had run out long ago."""

    units: UnitOfWorkFactory

    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        with self.units.begin(tenant_id) as unit:

            def claim(entries: Sequence[JournalEntry], *, on_lost: OnLost) -> Mapping[MessageId, Standing]:
                late = timedelta(hours=1)
                eager = [replace(entry, started_at=entry.started_at + late) for entry in entries]
                return unit.journal.claim(eager, on_lost=on_lost)

            yield cast("UnitOfWork", Around(unit, journal=Around(unit.journal, claim=claim)))


@dataclass(frozen=True)
class AcknowledgesOnReceipt(MessageConsumer):
    """Takes a message off its queue before it is processed: at most once."""

    consumer: MessageConsumer

    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        deliveries = self.consumer.receive(queue, max_messages=max_messages, visibility=visibility)
        self.consumer.settle([Settlement(one, Complete()) for one in deliveries])
        return deliveries

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Nothing is left to settle."""

    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:  # noqa: ARG002 - as declared
        return ()


def takes_off_before_sending(outbox: OutboxRelaySource) -> OutboxRelaySource:
    """A relay's claim that removes the rows: what is not sent then is gone."""

    def claim(**options: Any) -> Sequence[OutboxRow]:
        rows = outbox.claim(**options)
        outbox.sent([row.id for row in rows])
        return rows

    return cast("OutboxRelaySource", Around(outbox, claim=claim))


def sends_newest_first(outbox: OutboxRelaySource) -> OutboxRelaySource:
    """A relay's claim in the wrong order."""
    return cast("OutboxRelaySource", Around(outbox, claim=lambda **options: outbox.claim(**options)[::-1]))


@dataclass(frozen=True)
class RetriesAtTheEnd(MessageConsumer):
    """Sends what is to come again once more, as a new message behind all others: its ordering key does not hold it."""

    consumer: MessageConsumer
    publisher: MessagePublisher
    keys: dict[bytes, Outgoing]

    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        return self.consumer.receive(queue, max_messages=max_messages, visibility=visibility)

    def settle(self, settlements: Sequence[Settlement]) -> None:
        again = [one for one in settlements if isinstance(one.disposition, Retry | Defer)]
        known = [self.keys[one.delivery.body] for one in again if one.delivery.body in self.keys]
        if known:
            self.publisher.publish(known)
        done = [Settlement(one.delivery, Complete()) for one in again if one.delivery.body in self.keys]
        others = [one for one in settlements if one not in again or one.delivery.body not in self.keys]
        self.consumer.settle([*done, *others])

    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        return self.consumer.extend(deliveries, visibility=visibility)


@dataclass(frozen=True)
class Remembers(MessagePublisher):
    """Keeps what it sends, for `RetriesAtTheEnd`."""

    publisher: MessagePublisher
    keys: dict[bytes, Outgoing]

    def publish(self, messages: Sequence[Outgoing]) -> None:
        self.keys.update({one.body: one for one in messages})
        self.publisher.publish(messages)


def retries_at_the_end(ports: Ports) -> Ports:
    """The ports with both."""
    publisher = Remembers(ports.publisher, _SENT)
    consumer = RetriesAtTheEnd(ports.consumer, ports.publisher, _SENT)
    return replace(ports, publisher=publisher, consumer=consumer)


_SENT: dict[bytes, Outgoing] = {}
"""What was sent by whichever instance, by its bytes, which name it."""


@dataclass(frozen=True)
class GivesLeasesAway(Leases):
    """Leases that anybody gets who asks."""

    leases: Leases

    def take(self, *_: object, **__: object) -> bool:
        return True

    def release(self, *_: object, **__: object) -> None:
        """Nobody holds it."""
