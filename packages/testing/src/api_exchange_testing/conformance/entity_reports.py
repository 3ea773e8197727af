"""What every `EntityReports` does."""

from __future__ import annotations

import pytest

from api_exchange_core.domain.entity import EntityHead, EntityKey, EntityVersion
from api_exchange_core.domain.names import EntityId
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.entity_reports import EntityFilter, EntityReports
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import (
    EVERY_SCRIPT,
    OTHER_TENANT,
    TENANT,
    at,
    head,
    key,
    version_of,
)
from api_exchange_testing.conformance.reports import Reports, ReportsSuite


class EntityReportsSuite(ReportsSuite):
    """Needs a fixture `reports` that returns `Reports`."""

    @pytest.fixture
    def entities(self, reports: Reports) -> EntityReports:
        """The port under test."""
        return reports.entities

    def test_where_there_are_no_entities_none_is_found(self, entities: EntityReports) -> None:
        assert entities.with_id(key().id) is None
        assert list(entities.with_external_id(EntityFilter(external_id="4711"))) == []
        assert list(entities.history(key().id, tenant_id=TENANT, limit=10)) == []
        assert entities.version(key().id, 1, tenant_id=TENANT) is None

    def test_an_entity_is_found_by_its_id_whosever_it_is(
        self, units: UnitOfWorkFactory, entities: EntityReports
    ) -> None:
        mine, theirs = (_written(units, key(tenant=tenant)) for tenant in (TENANT, OTHER_TENANT))
        assert entities.with_id(mine.id) == mine
        assert entities.with_id(theirs.id) == theirs
        assert entities.with_id("nobody's") is None

    def test_entities_are_found_by_external_id_by_tenant_type_and_source(
        self, units: UnitOfWorkFactory, entities: EntityReports
    ) -> None:
        keys = [
            key(tenant=TENANT, canonical_type="invoice", source="erp"),
            key(tenant=TENANT, canonical_type="order", source="erp"),
            key(tenant=TENANT, canonical_type="order", source="shop"),
            key(tenant=OTHER_TENANT, canonical_type="order", source="shop"),
        ]
        heads = [_written(units, one) for one in keys]
        _written(units, key("4712"))
        expected = {
            EntityFilter(external_id="4711"): heads,
            EntityFilter(external_id="4711", tenant_id=TENANT): heads[:3],
            EntityFilter(external_id="4711", canonical_type="order"): heads[1:],
            EntityFilter(external_id="4711", canonical_type="order", source="shop"): heads[2:],
            EntityFilter(external_id="4711", source="erp", tenant_id=TENANT): heads[:2],
            EntityFilter(external_id="471"): [],
        }
        assert {wanted: list(entities.with_external_id(wanted)) for wanted in expected} == expected
        assert list(entities.with_external_id(EntityFilter(external_id="4711"), limit=2)) == heads[:2]

    def test_external_ids_of_every_script_are_found(
        self, units: UnitOfWorkFactory, entities: EntityReports
    ) -> None:
        written = _written(units, key(EVERY_SCRIPT, canonical_type=EVERY_SCRIPT, source=EVERY_SCRIPT))
        assert list(entities.with_external_id(EntityFilter(external_id=EVERY_SCRIPT))) == [written]

    def test_a_history_reads_back_newest_first_in_pages(
        self, units: UnitOfWorkFactory, entities: EntityReports
    ) -> None:
        versions = [_version(units, key(), number) for number in range(1, 6)]
        _version(units, key("4712"), 1)
        newest_first = versions[::-1]
        assert list(entities.history(key().id, tenant_id=TENANT, limit=10)) == newest_first
        assert list(entities.history(key().id, tenant_id=TENANT, limit=2)) == newest_first[:2]
        assert list(entities.history(key().id, tenant_id=TENANT, limit=2, before=4)) == newest_first[2:4]
        assert list(entities.history(key().id, tenant_id=OTHER_TENANT, limit=10)) == []

    def test_each_version_can_be_read_alone(self, units: UnitOfWorkFactory, entities: EntityReports) -> None:
        versions = [_version(units, key(), number) for number in range(1, 4)]
        assert [entities.version(key().id, number, tenant_id=TENANT) for number in (1, 2, 3)] == versions
        assert entities.version(key().id, 4, tenant_id=TENANT) is None
        assert entities.version(key().id, 1, tenant_id=OTHER_TENANT) is None
        assert entities.version(EntityId("nobody's"), 1, tenant_id=TENANT) is None


def _written(units: UnitOfWorkFactory, key_: EntityKey) -> EntityHead:
    written = head(key_)
    with units.begin(key_.tenant_id) as unit:
        unit.entities.write([HeadWrite(written, 0)], [version_of(written)])
        unit.commit()
    return written


def _version(units: UnitOfWorkFactory, key_: EntityKey, number: int) -> EntityVersion:
    written = head(key_, number, content=str(number), updated_at=at(number))
    version = version_of(written, field_hashes={"total": f"{number:016}"})
    with units.begin(key_.tenant_id) as unit:
        unit.entities.write([HeadWrite(written, number - 1)], [version])
        unit.commit()
    return version
