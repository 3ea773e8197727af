"""Bugs as others have them, to show that the checks find them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import Engine, delete
from typing_extensions import override

from api_exchange_core.adapters.sql import entity_store
from api_exchange_core.adapters.sql.engine import writing
from api_exchange_core.adapters.sql.schema import outbox
from api_exchange_core.domain.delivery import Complete, Delivery, Settlement
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.ports.checkpoints import Checkpoints
from api_exchange_core.ports.entity_store import EntityStore
from api_exchange_core.ports.error_log import ErrorLog
from api_exchange_core.ports.journal import Journal, JournalEntry
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.outbox import Outbox, OutboxRow, OutgoingLine
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from benchmarks.torture.machine import Parts


@dataclass(frozen=True, slots=True)
class _TakesOffAtReceipt(MessageConsumer):
    """A consumer that acknowledges what it has not processed, as brokers' automatic modes do."""

    inner: MessageConsumer

    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        deliveries = self.inner.receive(queue, max_messages=max_messages, visibility=visibility)
        self.inner.settle([Settlement(delivery, Complete()) for delivery in deliveries])
        return deliveries

    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        self.inner.settle(settlements)

    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        return ()


@dataclass(frozen=True, slots=True)
class _Unit(UnitOfWork):
    """A unit of work that works like the one within, but for what a bug takes away."""

    inner: UnitOfWork

    @property
    @override
    def entities(self) -> EntityStore:
        return self.inner.entities

    @property
    @override
    def journal(self) -> Journal:
        return self.inner.journal

    @property
    @override
    def outbox(self) -> Outbox:
        return self.inner.outbox

    @property
    @override
    def errors(self) -> ErrorLog:
        return self.inner.errors

    @property
    @override
    def checkpoints(self) -> Checkpoints:
        return self.inner.checkpoints

    @override
    def acknowledge(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        return self.inner.acknowledge(deliveries)

    @override
    def commit(self) -> None:
        self.inner.commit()


class _AcknowledgesNothing(_Unit):
    """What has been taken off at its receipt cannot be acknowledged again."""

    @override
    def acknowledge(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        return ()


class _ForgetsItsJournal(_Unit):
    """Asks no journal whether a message was processed before."""

    @property
    @override
    def journal(self) -> Journal:
        return cast("Journal", _NeverAsked(self.inner.journal))


class _NeverAsked:
    """A journal but for what it would answer."""

    def __init__(self, inner: Journal) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def completed(self, _: FunctionName, __: Collection[MessageId]) -> frozenset[MessageId]:
        return frozenset()

    def complete(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        self._inner.complete(entries)
        return frozenset(entry.message_id for entry in entries)


@dataclass(frozen=True, slots=True)
class _AcknowledgesBeforeItCommits(_Unit):
    """Takes messages off in a transaction of their own, before what came of them is committed."""

    consumer: MessageConsumer

    @override
    def acknowledge(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        self.consumer.settle([Settlement(delivery, Complete()) for delivery in deliveries])
        return ()


@dataclass(frozen=True, slots=True)
class _HasNoOutbox(_Unit):
    """Sends after the commit what it remembers, and writes nothing of it down."""

    @property
    @override
    def outbox(self) -> Outbox:
        return _Remembers()


class _Remembers(Outbox):
    @override
    def add(self, effects: Sequence[Outgoing | OutgoingLine], *, now: datetime) -> Sequence[OutboxRow]:
        return [OutboxRow(number, effect) for number, effect in enumerate(effects)]


@dataclass(frozen=True, slots=True)
class _TakesOffBeforeItSends(MessagePublisher):
    """Sends only when the row is gone from the outbox."""

    inner: MessagePublisher
    store: Engine

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        ids = [message.message_id for message in messages]
        with writing(self.store) as connection:
            connection.execute(delete(outbox).where(outbox.c.message_id.in_(ids)))
        self.inner.publish(messages)


@dataclass(frozen=True, slots=True)
class _Units(UnitOfWorkFactory):
    inner: UnitOfWorkFactory
    wrong: Callable[[UnitOfWork], UnitOfWork]

    @override
    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        with self.inner.begin(tenant_id) as unit:
            yield self.wrong(unit)


def _take_off_at_receipt(parts: Parts) -> None:
    parts.consumer = _TakesOffAtReceipt(parts.consumer)
    parts.units = _Units(parts.units, _AcknowledgesNothing)


def _let_the_last_writer_win(_: Parts) -> None:
    """Rows that were not written because somebody else was first are not missed."""
    entity_store._expect = lambda *_: None  # noqa: SLF001 - this process is the bug's own


def acknowledge_before_the_commit(parts: Parts) -> None:
    """A bug of `crash_points`."""
    queue = parts.queue
    parts.units = _Units(parts.units, lambda unit: _AcknowledgesBeforeItCommits(unit, queue))


def do_without_an_outbox(parts: Parts) -> None:
    """A bug of `crash_points`."""
    parts.units = _Units(parts.units, _HasNoOutbox)


def take_off_before_sending(parts: Parts) -> None:
    """A bug of `crash_points`."""
    parts.publisher = _TakesOffBeforeItSends(parts.publisher, parts.store)


def forget_the_journal(parts: Parts) -> None:
    """A bug of both."""
    parts.units = _Units(parts.units, _ForgetsItsJournal)


BUGS: Final[dict[str, Callable[[Parts], None]]] = {
    "takes-off-at-receipt": _take_off_at_receipt,
    "forgets-its-journal": forget_the_journal,
    "last-writer-wins": _let_the_last_writer_win,
}
"""By name, what puts a bug into the parts of a machine."""


def plant(bug: str, parts: Parts) -> None:
    """Put *bug* into *parts*."""
    BUGS[bug](parts)
