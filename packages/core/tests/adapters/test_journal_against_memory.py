"""Random programs on the SQL journal, beside the same on the journal in memory: both answer alike at every step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, delete

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.schema import journal as journal_table
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.domain.errors import ClaimLostError
from api_exchange_core.domain.exclusive import OnLost
from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.ports.journal import Claim, Journal, JournalEntry, ProcessingState
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing import InMemoryStore, InMemoryUnitOfWorkFactory

START = datetime(2026, 1, 1, tzinfo=UTC)
TENANT = TenantId("customer-a")
FUNCTIONS = [FunctionName("to-canonical"), FunctionName("route-orders")]
MESSAGES = [MessageId(f"message-{number}") for number in range(3)]
ENDINGS = [ProcessingState.RETRYING, ProcessingState.DEAD]

functions = st.sampled_from(FUNCTIONS)
messages = st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=3, unique=True)
# Few times, so that leases end as others begin.
spans = st.sampled_from([0, 10, 20, 30]).map(lambda seconds: timedelta(seconds=seconds))


class JournalMachine(RuleBasedStateMachine):
    """Each step is a transaction of its own: what happens when they overlap is the suite's affair."""

    claims = Bundle("claims")

    database: ClassVar[Engine]

    def __init__(self) -> None:
        super().__init__()
        with self.database.begin() as connection:
            connection.execute(delete(journal_table))
        self.now = START
        self.sql = SqlUnitOfWorkFactory(self.database, queues_here=False)
        self.memory = InMemoryUnitOfWorkFactory(InMemoryStore())

    @rule(target=claims, function=functions, ids=messages, lease=spans, on_lost=st.sampled_from(OnLost))
    def claim(
        self, function: FunctionName, ids: list[MessageId], lease: timedelta, on_lost: OnLost
    ) -> object:
        entries = [self._entry(function, id_, leased_until=self.now + lease) for id_ in ids]
        standings = self._both(lambda journal: dict(journal.claim(entries, on_lost=on_lost)))
        assert isinstance(standings, dict)
        return multiple(*(Claim(function, id_, one.fence) for id_, one in standings.items() if one.taken))

    @rule(held=claims, lease=spans)
    def renew(self, held: Claim, lease: timedelta) -> None:
        self._both(lambda journal: journal.renew([held], until=self.now + lease))

    @rule(held=claims)
    def complete_under_a_claim(self, held: Claim) -> None:
        entry = replace(self._entry(held.function, held.message_id), fence=held.fence)
        self._both(lambda journal: journal.complete([replace(entry, state=ProcessingState.COMPLETED)]))

    @rule(held=claims, state=st.sampled_from(ENDINGS))
    def fail_under_a_claim(self, held: Claim, state: ProcessingState) -> None:
        entry = replace(self._entry(held.function, held.message_id), fence=held.fence, state=state)
        self._both(lambda journal: journal.fail([entry]))

    @rule(function=functions, ids=messages)
    def complete(self, function: FunctionName, ids: list[MessageId]) -> None:
        entries = [replace(self._entry(function, id_), state=ProcessingState.COMPLETED) for id_ in ids]
        self._both(lambda journal: journal.complete(entries))

    @rule(function=functions, ids=messages, state=st.sampled_from(ENDINGS))
    def fail(self, function: FunctionName, ids: list[MessageId], state: ProcessingState) -> None:
        entries = [replace(self._entry(function, id_), state=state) for id_ in ids]
        self._both(lambda journal: journal.fail(entries))

    @rule(function=functions, ids=messages)
    def release(self, function: FunctionName, ids: list[MessageId]) -> None:
        self._both(lambda journal: journal.release(function, ids))

    @rule(function=functions, ids=messages)
    def give_up(self, function: FunctionName, ids: list[MessageId]) -> None:
        self._both(lambda journal: journal.give_up(function, ids))

    @rule(span=spans)
    def time_passes(self, span: timedelta) -> None:
        self.now += span

    @invariant()
    def the_same_is_on_record(self) -> None:
        self._both(lambda journal: _in_order(journal.trace("request-1")))
        self._both(lambda journal: journal.held(limit=10))
        for function in FUNCTIONS:
            self._both(lambda journal, function=function: journal.completed(function, MESSAGES))  # type: ignore[misc]  # a lambda's default has no annotation

    def _both(self, step: Callable[[Journal], object]) -> object:
        in_sql, in_memory = (_committed(units, step) for units in (self.sql, self.memory))
        assert in_sql == in_memory
        return in_sql

    def _entry(
        self, function: FunctionName, message_id: MessageId, *, leased_until: datetime | None = None
    ) -> JournalEntry:
        return JournalEntry(
            function=function,
            message_id=message_id,
            state=ProcessingState.RUNNING,
            attempts=1,
            correlation_id="request-1",
            causation_id=None,
            entity_id=None,
            started_at=self.now,
            finished_at=self.now,
            leased_until=leased_until,
        )


def _committed(units: UnitOfWorkFactory, step: Callable[[Journal], object]) -> object:
    """What *step* answers in a transaction of its own; the error's kind if it cannot be done."""
    try:
        with units.begin(TENANT) as unit:
            answer = step(unit.journal)
            unit.commit()
    except ClaimLostError:
        return ClaimLostError
    return answer


def _in_order(entries: Collection[JournalEntry]) -> Sequence[JournalEntry]:
    """Of those that began at once either may be first."""
    return sorted(entries, key=lambda entry: (entry.function, entry.message_id))


def test_the_sql_journal_and_the_journal_in_memory_answer_alike(database_url: str) -> None:
    engine = create_engine_for(database_url)
    migrate.upgrade(engine)
    SqlTenantDirectory(engine).add([TENANT], now=START)

    class OnThisDatabase(JournalMachine):
        database = engine

    try:
        run_state_machine_as_test(
            OnThisDatabase,
            settings=settings(
                max_examples=25,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
    finally:
        engine.dispose()
