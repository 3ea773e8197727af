"""What every `Eraser` does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from api_exchange_core.domain.entity import EntityKey, EntityReference
from api_exchange_core.domain.envelope import encode, encode_letter
from api_exchange_core.domain.erasure import Erasure, Subject
from api_exchange_core.domain.errors import ClaimLostError
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId, QueueName, TenantId, dead_letter_queue
from api_exchange_core.ports.erasure import Eraser
from api_exchange_core.ports.outbox import OutgoingLine
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import (
    EVERY_SCRIPT,
    FUNCTION,
    NOW,
    OTHER_TENANT,
    QUEUE,
    TENANT,
    at,
    entry,
    error,
    head,
    key,
    on_top,
    outgoing,
    version_of,
)
from api_exchange_testing.conformance.storage import Storage, StorageSuite

ConnectEraser = Callable[[], Eraser]
"""Another client of the store's eraser, as another process would have it."""

_MINE, _OTHER = key("4711"), key("4712")
_ALL = 1_000


def record(id_: str = "record-1", *, tenant: TenantId = TENANT) -> Erasure:
    """A record that has just been opened."""
    return Erasure(id=id_, tenant_id=tenant, entity_proof=None, requested_by=EVERY_SCRIPT, started_at=NOW)


def message(id_: str, about: EntityKey | None, *, tenant: TenantId = TENANT) -> Message:
    """A message about an entity, whose payload names another one."""
    reference = (
        None
        if about is None
        else EntityReference(
            about.id, about.external_id, about.canonical_type, about.source, 1, about.tenant_id
        )
    )
    return Message(
        id=MessageId(id_),
        tenant_id=tenant,
        source="/suite",
        payload={"other": _OTHER.id, "mine": _MINE.id},
        time=NOW,
        correlation_id="request-1",
        entity=reference,
    )


class EraserSuite(StorageSuite):
    """Needs fixtures `storage`, with queues in the store, and `connect_eraser`, a `ConnectEraser` of it."""

    @pytest.fixture
    def eraser(self, connect_eraser: ConnectEraser) -> Eraser:
        """The client that erases."""
        return connect_eraser()

    @pytest.fixture
    def records(self, connect_eraser: ConnectEraser) -> Eraser:
        """Another client, which reads the records back."""
        return connect_eraser()

    def test_nothing_is_held_of_whom_nothing_was_written(self, eraser: Eraser) -> None:
        assert dict(eraser.held(Subject(TENANT))) == {}
        assert dict(eraser.held(Subject(TENANT, _MINE.id))) == {}

    def test_all_of_a_tenant_is_removed_and_nothing_of_another(
        self, storage: Storage, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, eraser: Eraser
    ) -> None:
        self._fill(storage, units, TENANT)
        self._fill(storage, units, OTHER_TENANT)
        theirs = dict(eraser.held(Subject(OTHER_TENANT)))
        held = dict(eraser.held(Subject(TENANT)))
        assert held == theirs
        assert min(held.values()) > 0
        assert self._removed(eraser, Subject(TENANT)) == held
        assert dict(eraser.held(Subject(TENANT))) == {}
        assert dict(eraser.held(Subject(OTHER_TENANT))) == theirs
        with elsewhere.begin(TENANT) as unit:
            assert unit.entities.count() == 0
            assert list(unit.entities.versions(_MINE.id)) == []
            assert list(unit.journal.trace("request-1")) == []
            assert list(unit.errors.of_message(MessageId("message-1"))) == []
        with elsewhere.begin(OTHER_TENANT) as unit:
            assert unit.entities.count() == 2
            assert len(unit.journal.trace("request-1")) == 2
        assert {effect.tenant_id for effect in self._outbox(storage)} == {OTHER_TENANT}
        assert [OTHER_TENANT.encode() in body for body in self._queued(storage)] == [True] * 3

    def test_what_is_removed_is_bounded_and_counted_in_the_record(
        self, units: UnitOfWorkFactory, eraser: Eraser, records: Eraser
    ) -> None:
        with units.begin(TENANT) as unit:
            unit.journal.complete([entry(f"message-{number}") for number in range(7)])
            unit.commit()
        eraser.begin(record())
        (part,) = eraser.held(Subject(TENANT))
        removed = [eraser.remove(Subject(TENANT), part, erasure_id="record-1", limit=3) for _ in range(4)]
        assert removed == [3, 3, 1, 0]
        (kept,) = records.records()
        assert list(kept.removed.values()) == [7]

    def test_what_other_stores_have_removed_is_counted_beside_it(
        self, units: UnitOfWorkFactory, eraser: Eraser, records: Eraser
    ) -> None:
        with units.begin(TENANT) as unit:
            unit.journal.complete([entry()])
            unit.commit()
        eraser.begin(record())
        (part,) = eraser.held(Subject(TENANT))
        eraser.remove(Subject(TENANT), part, erasure_id="record-1", limit=_ALL)
        eraser.count("record-1", "elsewhere", 2)
        eraser.count("record-1", "elsewhere", 3)
        (kept,) = records.records()
        assert dict(kept.removed) == {part: 1, "elsewhere": 5}

    def test_an_entity_goes_with_all_that_is_about_it(
        self, storage: Storage, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, eraser: Eraser
    ) -> None:
        self._fill(storage, units, TENANT)
        subject = Subject(TENANT, _MINE.id)
        held = dict(eraser.held(subject))
        assert self._removed(eraser, subject) == held
        assert dict(eraser.held(subject)) == {}
        with elsewhere.begin(TENANT) as unit:
            assert set(unit.entities.heads([_MINE.id, _OTHER.id])) == {_OTHER.id}
            assert list(unit.entities.versions(_MINE.id)) == []
            assert len(unit.entities.versions(_OTHER.id)) == 1
            assert [one.message_id for one in unit.journal.trace("request-1")] == ["message-2"]
            assert list(unit.errors.of_message(MessageId("message-1"))) == []
            assert len(unit.errors.of_message(MessageId("message-2"))) == 1
        assert [_OTHER.external_id.encode() in body for body in self._queued(storage)] == [True]
        assert [_OTHER.external_id.encode() in effect.line for effect in self._outbox(storage)] == [True]

    def test_an_entity_of_another_tenant_with_the_same_key_stays(
        self, storage: Storage, units: UnitOfWorkFactory, eraser: Eraser
    ) -> None:
        self._fill(storage, units, OTHER_TENANT)
        theirs = dict(eraser.held(Subject(OTHER_TENANT)))
        self._removed(eraser, Subject(TENANT, _MINE.id))
        stranger = Subject(TENANT, key("4711", tenant=OTHER_TENANT).id)
        assert self._removed(eraser, stranger, record("record-2")) == {}
        assert dict(eraser.held(Subject(OTHER_TENANT))) == theirs

    def test_a_message_that_somebody_has_in_hand_is_removed_and_cannot_be_committed(
        self, storage: Storage, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, eraser: Eraser
    ) -> None:
        transport = storage.transport
        assert transport is not None
        transport.publisher.publish([outgoing("message-1", body=encode(message("message-1", _MINE)))])
        (delivery,) = transport.consumer.receive(QUEUE, max_messages=1, visibility=timedelta(minutes=5))
        self._removed(eraser, Subject(TENANT, _MINE.id))
        with pytest.raises(ClaimLostError), units.begin(TENANT) as unit:
            unit.entities.write([on_top(head(_MINE))], [version_of(head(_MINE))])
            unit.acknowledge([delivery])
            unit.commit()
        with elsewhere.begin(TENANT) as unit:
            assert unit.entities.count() == 0

    def test_entities_are_found_by_their_external_id(self, units: UnitOfWorkFactory, eraser: Eraser) -> None:
        found = [
            key(EVERY_SCRIPT, canonical_type="customer"),
            key(EVERY_SCRIPT, canonical_type="order", source="erp"),
            key(EVERY_SCRIPT, canonical_type="order", source="shop"),
        ]
        for one in (*found, key("other"), key(EVERY_SCRIPT, tenant=OTHER_TENANT)):
            with units.begin(one.tenant_id) as unit:
                unit.entities.write([on_top(head(one))], [version_of(head(one))])
                unit.commit()
        assert list(eraser.named(TENANT, external_id=EVERY_SCRIPT)) == found
        assert list(eraser.named(TENANT, external_id="nobody")) == []

    def test_records_stay_as_they_were_written_oldest_first(self, eraser: Eraser, records: Eraser) -> None:
        second = Erasure(
            id="record-2",
            tenant_id=OTHER_TENANT,
            entity_proof="0" * 64,
            requested_by="operator",
            started_at=at(60),
        )
        eraser.begin(second)
        eraser.begin(record())
        assert list(records.records()) == [record(), second]
        eraser.finish("record-1", files=2, now=at(90))
        first, _ = records.records()
        assert (first.finished_at, dict(first.removed)) == (at(90), {"files": 2})

    def test_erasing_a_tenant_leaves_the_records(
        self, storage: Storage, units: UnitOfWorkFactory, eraser: Eraser, records: Eraser
    ) -> None:
        self._fill(storage, units, TENANT)
        self._removed(eraser, Subject(TENANT))
        assert [one.tenant_id for one in records.records()] == [TENANT]

    def _removed(self, eraser: Eraser, subject: Subject, erasure: Erasure | None = None) -> dict[str, int]:
        """Remove all of it, and say what the record counts."""
        erasure = record() if erasure is None else erasure
        eraser.begin(erasure)
        for part in eraser.parts(subject):
            while eraser.remove(subject, part, erasure_id=erasure.id, limit=_ALL):
                pass
        return next(dict(one.removed) for one in eraser.records() if one.id == erasure.id)

    def _fill(self, storage: Storage, units: UnitOfWorkFactory, tenant: TenantId) -> None:
        """Two entities of a tenant, and of each an error, an entry, a line on its way and messages."""
        transport = storage.transport
        assert transport is not None
        mine, other = key("4711", tenant=tenant), key("4712", tenant=tenant)
        about_mine = message("message-1", mine, tenant=tenant)
        about_other = message("message-2", other, tenant=tenant)
        failure = Failure(FUNCTION, QUEUE, "Code", "reason", "0123", 1, NOW)
        with units.begin(tenant) as unit:
            unit.entities.write(
                [on_top(head(mine)), on_top(head(other))], [version_of(head(mine)), version_of(head(other))]
            )
            entries = [entry("message-1", entity_id=mine.id), entry("message-2", entity_id=other.id)]
            unit.journal.complete(entries)
            unit.errors.add([error("message-1"), error("message-1", attempt=2), error("message-2")])
            lines = [
                OutgoingLine(tenant_id=tenant, name="orders.jsonl", line=encode(one))
                for one in (about_mine, about_other)
            ]
            unit.outbox.add(lines, now=NOW)
            unit.commit()
        transport.publisher.publish(
            [
                outgoing("message-1", tenant=tenant, body=encode(about_mine)),
                outgoing("message-2", tenant=tenant, body=encode(about_other)),
                outgoing(
                    "message-1",
                    tenant=tenant,
                    queue=dead_letter_queue(QUEUE),
                    body=encode_letter(about_mine, failure),
                ),
            ]
        )

    def _queued(self, storage: Storage) -> list[bytes]:
        transport = storage.transport
        assert transport is not None
        return [
            delivery.body
            for queue in (QUEUE, QueueName(dead_letter_queue(QUEUE)))
            for delivery in transport.consumer.receive(
                queue, max_messages=_ALL, visibility=timedelta(minutes=5)
            )
        ]

    def _outbox(self, storage: Storage) -> list[OutgoingLine]:
        rows = storage.relay_source.claim(now=NOW + timedelta(days=1), limit=_ALL, lease=timedelta(minutes=5))
        return [row.effect for row in rows if isinstance(row.effect, OutgoingLine)]
