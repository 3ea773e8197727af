"""What every `ErrorLog` does."""

from __future__ import annotations

from dataclasses import replace

from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, FUNCTION, OTHER_TENANT, TENANT, error
from api_exchange_testing.conformance.storage import StorageSuite


class ErrorLogSuite(StorageSuite):
    """Needs a fixture `storage` that returns a `Storage`."""

    def test_a_message_without_errors_has_none(self, units: UnitOfWorkFactory) -> None:
        _add(units, error("message-2"))
        assert _of_message(units) == []

    def test_the_attempts_at_a_message_read_back_oldest_first(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        first, second, third = (error(attempt=number) for number in (1, 2, 3))
        _add(units, first, error("message-2"))
        _add(units, second)
        _add(units, third)
        assert _of_message(elsewhere) == [first, second, third]

    def test_text_of_every_script_and_long_reasons_read_back(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        entry = replace(error(reason=EVERY_SCRIPT * 40 + "\n"), stack=f"{EVERY_SCRIPT}.py:1 process\n" * 30)
        _add(units, entry)
        assert _of_message(elsewhere) == [entry]

    def test_adding_nothing_adds_nothing(self, units: UnitOfWorkFactory) -> None:
        _add(units)
        assert _of_message(units) == []

    def test_errors_of_two_tenants_are_kept_apart(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _add(units, error())
        assert _of_message(elsewhere, tenant=OTHER_TENANT) == []
        _add(units, error(reason="theirs"), tenant=OTHER_TENANT)
        assert _of_message(elsewhere) == [error()]

    def test_of_many_attempts_the_newest_of_one_function_can_be_asked_for(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        attempts = [error(attempt=number) for number in range(1, 6)]
        _add(units, *attempts, replace(error(attempt=6), function=FunctionName("another")))
        for newest, expected in ((0, []), (2, attempts[-2:]), (5, attempts), (9, attempts)):
            with elsewhere.begin(TENANT) as unit:
                found = unit.errors.of_message(MessageId("message-1"), function=FUNCTION, newest=newest)
            assert list(found) == expected
        with elsewhere.begin(TENANT) as unit:
            [last] = unit.errors.of_message(MessageId("message-1"), newest=1)
        assert last.function == "another"

    def test_what_is_rolled_back_is_not_recorded(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        with units.begin(TENANT) as unit:
            unit.errors.add([error()])
        assert _of_message(elsewhere) == []


def _add(units: UnitOfWorkFactory, *entries: ErrorEntry, tenant: TenantId = TENANT) -> None:
    with units.begin(tenant) as unit:
        unit.errors.add(entries)
        unit.commit()


def _of_message(units: UnitOfWorkFactory, *, tenant: TenantId = TENANT) -> list[ErrorEntry]:
    with units.begin(tenant) as unit:
        return list(unit.errors.of_message(MessageId("message-1")))
