"""Adapters that are wrong in one point each, under the suites that find it; test_planted_bugs runs them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from typing_extensions import override

from api_exchange_core.domain.delivery import Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.entity import EntityHead
from api_exchange_core.domain.names import EntityId, MessageId, QueueName, TenantId
from api_exchange_core.ports.credential_store import SealedCredentials
from api_exchange_core.ports.error_groups import ErrorGroup, GroupState
from api_exchange_core.ports.journal import JournalEntry
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.message_reports import HandledMessage, MessageFilter, PlaceInList
from api_exchange_core.ports.outbox import OutboxRow
from api_exchange_core.ports.sealer import SealedText
from api_exchange_core.ports.statistics import Statistics
from api_exchange_testing import (
    InMemoryBacklog,
    InMemoryCredentialStore,
    InMemoryEntityReports,
    InMemoryErrorGroups,
    InMemoryFileSink,
    InMemoryLeases,
    InMemoryMessageReports,
    InMemoryQueue,
    InMemorySealer,
    InMemoryStatisticsSource,
    InMemoryStore,
    InMemoryUnitOfWorkFactory,
    QueuedMessage,
)
from api_exchange_testing.conformance import (
    CredentialStoreSuite,
    EntityStoreSuite,
    ErrorGroupsSuite,
    FileSinkSuite,
    JournalSuite,
    LeasesSuite,
    MessageConsumerSuite,
    MessagePublisherSuite,
    MessageReportsSuite,
    OutboxSuite,
    PassingTime,
    QueuesHereSuite,
    Reports,
    SealerSuite,
    Sealing,
    StatisticsSourceSuite,
    Storage,
    Transport,
    UnitOfWorkSuite,
)
from api_exchange_testing.conformance.credential_store import ConnectCredentials
from api_exchange_testing.conformance.file_sink import Read
from api_exchange_testing.conformance.leases import ConnectLeases
from api_exchange_testing.memory.entity_store import InMemoryEntityStore
from api_exchange_testing.memory.journal import InMemoryJournal
from api_exchange_testing.memory.outbox import DUE_AFTER, InMemoryOutboxRelaySource
from api_exchange_testing.memory.unit_of_work import InMemoryUnitOfWork


class QueueThatDeliversOnce(InMemoryQueue):
    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        return super().receive(queue, max_messages=max_messages, visibility=timedelta(days=365))


class QueueThatNeverHides(InMemoryQueue):
    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        return super().receive(queue, max_messages=max_messages, visibility=timedelta(0))


class QueueThatCountsDeferrals(InMemoryQueue):
    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        counted = [
            Settlement(
                one.delivery,
                Retry(one.disposition.after) if isinstance(one.disposition, Defer) else one.disposition,
            )
            for one in settlements
        ]
        super().settle(counted)


class QueueThatForgetsOrder(InMemoryQueue):
    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        super().publish(list(reversed(messages)))


class QueueThatServesTheOldestAlone(InMemoryQueue):
    @override
    def _in_turn(self, queue: QueueName, due: Sequence[QueuedMessage], most: int) -> Sequence[QueuedMessage]:
        return due[:most]


class QueueThatTakesOldReceipts(InMemoryQueue):
    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        for one in settlements:
            newest = {row.number: row.receipt for row in self.messages(one.delivery.queue)}
            receipt = newest.get(int(one.delivery.receipt.partition("/")[0]))
            delivery = one.delivery
            if receipt is not None:
                delivery = Delivery(delivery.queue, delivery.body, receipt, delivery.receive_count)
            super().settle([Settlement(delivery, one.disposition)])


class StoreThatIgnoresTenants(InMemoryStore):
    @override
    def of(self, tenant_id: TenantId):  # type: ignore[no-untyped-def]  # the rows' type is the store's own
        return super().of(TenantId("everybody"))


class EntityStoreWithoutCompareAndSet(InMemoryEntityStore):
    @override
    def _check_replaces(self, id_: EntityId, replaced: int, stored: EntityHead | None) -> None:
        pass


class EntityStoreThatLocksNothing(InMemoryEntityStore):
    @override
    def _wait_until_free(self, ids: Collection[EntityId]) -> None:
        pass


class JournalThatAlwaysAccepts(InMemoryJournal):
    @override
    def complete(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        super().complete(entries)
        return frozenset(entry.message_id for entry in entries)

    @override
    def check(self) -> None:
        pass


class JournalWithoutFence(InMemoryJournal):
    @override
    def complete(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        return super().complete([replace(entry, fence=0) for entry in entries])

    @override
    def fail(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        return super().fail([replace(entry, fence=0) for entry in entries])


class QueueThatExtendsForAnybody(InMemoryQueue):
    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        super().extend(deliveries, visibility=visibility)
        return ()


class RelayWithoutLease(InMemoryOutboxRelaySource):
    @override
    def claim(self, *, now: datetime, limit: int, lease: timedelta) -> Sequence[OutboxRow]:
        return super().claim(now=now, limit=limit, lease=timedelta(0))


class RelayThatForgetsItsTries(InMemoryOutboxRelaySource):
    @override
    def postpone(self, ids: Sequence[int], *, until: datetime) -> None:
        pass


class LeasesThatOutliveTheirTime(InMemoryLeases):
    @override
    def release(self, name: str, *, owner: str, ran_at: datetime | None = None) -> None:
        super().release(name, owner=self._leases[name].owner or owner, ran_at=ran_at)


class BuggyUnits(InMemoryUnitOfWorkFactory):
    """Units of work with one part exchanged for a wrong one."""

    def __init__(self, store: InMemoryStore, **parts: type[InMemoryEntityStore | InMemoryJournal]) -> None:
        super().__init__(store)
        self._parts = parts

    @override
    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[InMemoryUnitOfWork]:
        with super().begin(tenant_id) as unit:
            for name, part in self._parts.items():
                getattr(unit, name).__class__ = part
            yield unit


class UnitsThatCommitAnyway(InMemoryUnitOfWorkFactory):
    @override
    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[InMemoryUnitOfWork]:
        with super().begin(tenant_id) as unit:
            yield unit
            if not unit._ended:
                unit.commit()


class UnitsThatAcknowledgeAtOnce(InMemoryUnitOfWorkFactory):
    @override
    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[InMemoryUnitOfWork]:
        with super().begin(tenant_id) as unit:
            unit.__class__ = _AcknowledgesAtOnce
            yield unit


class _AcknowledgesAtOnce(InMemoryUnitOfWork):
    @override
    def acknowledge(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        if self._store.queue is not None:
            self._store.queue.exchange(acknowledged=deliveries, published=())
        return ()


class FileSinkThatFollowsNames(InMemoryFileSink):
    @override
    def append(self, tenant_id: TenantId, name: str, lines: Sequence[bytes]) -> None:
        super().append(tenant_id, name.replace("..", "up").strip("/.") or "none", lines)


class StatisticsThatSeeNoFailure(InMemoryStatisticsSource):
    """Writers say dead, and this reader counts something else: all is well, whatever failed."""

    @override
    def of_window(
        self, *, since: datetime, until: datetime, tenant_id: TenantId | None = None, most: int
    ) -> Statistics:
        told = super().of_window(since=since, until=until, tenant_id=tenant_id, most=most)
        return replace(told, functions=[replace(one, dead=0) for one in told.functions])


class GroupsThatNeverComeBack(InMemoryErrorGroups):
    @override
    def _groups(self, tenant_id: TenantId | None) -> list[ErrorGroup]:
        return [
            replace(group, state=GroupState.RESOLVED) if group.resolved_at is not None else group
            for group in super()._groups(tenant_id)
        ]


class MessagesOfEverybody(InMemoryMessageReports):
    @override
    def newest(
        self, wanted: MessageFilter, *, limit: int, after: PlaceInList | None = None
    ) -> Sequence[HandledMessage]:
        return super().newest(replace(wanted, tenant_id=None), limit=limit, after=after)


def storage(
    units: InMemoryUnitOfWorkFactory, store: InMemoryStore, relay: InMemoryOutboxRelaySource | None = None
) -> Storage:
    queue = store.queue
    return Storage(
        connect=lambda: units,
        relay_source=store.relay_source if relay is None else relay,
        due_after=DUE_AFTER,
        transport=None if queue is None else Transport(publisher=queue, consumer=queue),
    )


class WithQueue(MessagePublisherSuite, MessageConsumerSuite):
    queue: type[InMemoryQueue] = InMemoryQueue

    @pytest.fixture
    def transport(self, clock: PassingTime) -> Transport:
        queue = self.queue(clock)
        return Transport(publisher=queue, consumer=queue)


class TestDeliversOnce(WithQueue):
    queue = QueueThatDeliversOnce


class TestNeverHides(WithQueue):
    queue = QueueThatNeverHides


class TestCountsDeferrals(WithQueue):
    queue = QueueThatCountsDeferrals


class TestForgetsOrder(WithQueue):
    queue = QueueThatForgetsOrder


class TestServesTheOldestAlone(WithQueue):
    queue = QueueThatServesTheOldestAlone


class TestTakesOldReceipts(WithQueue):
    queue = QueueThatTakesOldReceipts


class TestIgnoresTenants(UnitOfWorkSuite, EntityStoreSuite, JournalSuite):
    @pytest.fixture
    def storage(self) -> Storage:
        store = StoreThatIgnoresTenants()
        return storage(InMemoryUnitOfWorkFactory(store), store)


class TestWithoutCompareAndSet(EntityStoreSuite):
    @pytest.fixture
    def storage(self) -> Storage:
        store = InMemoryStore()
        return storage(BuggyUnits(store, _entities=EntityStoreWithoutCompareAndSet), store)


class TestLocksNothing(EntityStoreSuite):
    @pytest.fixture
    def storage(self) -> Storage:
        store = InMemoryStore()
        return storage(BuggyUnits(store, _entities=EntityStoreThatLocksNothing), store)


class TestAlwaysAccepts(JournalSuite):
    @pytest.fixture
    def storage(self) -> Storage:
        store = InMemoryStore()
        return storage(BuggyUnits(store, _journal=JournalThatAlwaysAccepts), store)


class TestWithoutFence(JournalSuite):
    @pytest.fixture
    def storage(self) -> Storage:
        store = InMemoryStore()
        return storage(BuggyUnits(store, _journal=JournalWithoutFence), store)


class TestExtendsForAnybody(WithQueue):
    queue = QueueThatExtendsForAnybody


class TestCommitsAnyway(UnitOfWorkSuite, JournalSuite):
    @pytest.fixture
    def storage(self) -> Storage:
        store = InMemoryStore()
        return storage(UnitsThatCommitAnyway(store), store)


class TestRelaysWithoutLease(OutboxSuite):
    @pytest.fixture
    def storage(self) -> Storage:
        store = InMemoryStore()
        return storage(
            InMemoryUnitOfWorkFactory(store), store, RelayWithoutLease(store.outbox, store.changed)
        )


class TestForgetsItsTries(OutboxSuite):
    @pytest.fixture
    def storage(self) -> Storage:
        store = InMemoryStore()
        relay = RelayThatForgetsItsTries(store.outbox, store.changed)
        return storage(InMemoryUnitOfWorkFactory(store), store, relay)


class TestOutlivesItsTime(LeasesSuite):
    @pytest.fixture
    def connect_leases(self) -> ConnectLeases:
        leases = LeasesThatOutliveTheirTime()
        return lambda: leases


class TestAcknowledgesAtOnce(QueuesHereSuite):
    @pytest.fixture
    def storage(self, clock: PassingTime) -> Storage:
        store = InMemoryStore(queue=InMemoryQueue(clock))
        return storage(UnitsThatAcknowledgeAtOnce(store), store)


class WithReports:
    """Reports on a store, one of which may be wrong."""

    messages_kind: type[InMemoryMessageReports] = InMemoryMessageReports
    errors_kind: type[InMemoryErrorGroups] = InMemoryErrorGroups
    statistics_kind: type[InMemoryStatisticsSource] = InMemoryStatisticsSource

    @pytest.fixture
    def reports(self, clock: PassingTime) -> Reports:
        queue = InMemoryQueue(clock)
        store = InMemoryStore(queue=queue)
        return Reports(
            storage=storage(InMemoryUnitOfWorkFactory(store), store),
            messages=self.messages_kind(store),
            errors=self.errors_kind(store),
            statistics=self.statistics_kind(store),
            backlog=InMemoryBacklog(store, queue),
            entities=InMemoryEntityReports(store),
        )


class TestSeesNoFailure(WithReports, StatisticsSourceSuite):
    statistics_kind = StatisticsThatSeeNoFailure


class TestNeverComesBack(WithReports, ErrorGroupsSuite):
    errors_kind = GroupsThatNeverComeBack


class TestShowsEverybodysMessages(WithReports, MessageReportsSuite):
    messages_kind = MessagesOfEverybody


class TestFollowsNames(FileSinkSuite):
    @pytest.fixture
    def sink(self) -> InMemoryFileSink:
        return FileSinkThatFollowsNames()

    @pytest.fixture
    def read(self, sink: InMemoryFileSink) -> Read:
        return lambda tenant_id, name: sink.read(tenant_id, name)


class LastWriterWins(InMemoryCredentialStore):
    """Keeps whatever comes, on whatever version it was made."""

    @override
    def write(self, credentials: SealedCredentials) -> None:
        self.store.of(credentials.tenant_id).credentials[credentials.system] = credentials


class TestLastWriterWins(CredentialStoreSuite):
    @pytest.fixture
    def connect_credentials(self) -> ConnectCredentials:
        store = InMemoryStore()
        return lambda: LastWriterWins(store)


class SealsForAnybody(InMemorySealer):
    """Binds a text to nothing."""

    @override
    def seal(self, secret: bytes, *, bound_to: Sequence[str]) -> SealedText:
        return super().seal(secret, bound_to=())

    @override
    def unseal(self, sealed: SealedText, *, bound_to: Sequence[str]) -> bytes:
        return super().unseal(sealed, bound_to=())


class TestSealsForAnybody(SealerSuite):
    @pytest.fixture
    def sealing(self) -> Sealing:
        sealer = SealsForAnybody()
        return Sealing(connect=lambda: sealer, use=sealer.use, memory=timedelta(0))
