"""What one instance takes of a budget in advance, and that all instances together stay within it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from api_exchange_core.application.budget_shares import SHARE_LIFE, BudgetShares
from api_exchange_core.domain.budget import Budget
from api_exchange_core.domain.errors import DeclarationError, TransientError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_testing import InMemoryBudgets, InMemoryStore, VirtualClock
from api_exchange_testing.conformance.budgets import most_over

TENANT, OTHER = TenantId("customer-a"), TenantId("customer-b")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MOMENT = timedelta(milliseconds=1)
BUDGET = Budget(100, burst=100)


class CountingBudgets(InMemoryBudgets):
    def __init__(self, store: InMemoryStore) -> None:
        super().__init__(store)
        self.taken: list[int] = []

    @override
    def take(
        self, tenant_id: TenantId, *, api: str, number: int, budget: Budget, now: datetime
    ) -> datetime | None:
        self.taken.append(number)
        return super().take(tenant_id, api=api, number=number, budget=budget, now=now)


@dataclass(frozen=True)
class Skewed(Clock):
    clock: VirtualClock
    by: timedelta

    @override
    def now(self) -> datetime:
        return self.clock.now() + self.by


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOON)


@pytest.fixture
def budgets() -> CountingBudgets:
    return CountingBudgets(InMemoryStore())


@pytest.fixture
def shares(budgets: CountingBudgets, clock: VirtualClock) -> BudgetShares:
    return BudgetShares(budgets, clock)


def take(shares: BudgetShares, tenant: TenantId = TENANT, budget: Budget | None = BUDGET) -> datetime | None:
    return shares.take(tenant, api="shop", budget=budget)


def test_many_requests_in_a_row_ask_the_store_a_few_times(
    shares: BudgetShares, budgets: CountingBudgets, clock: VirtualClock
) -> None:
    for _ in range(100):
        assert take(shares) is None
        clock.advance(MOMENT)
    assert len(budgets.taken) < 15, budgets.taken


def test_requests_that_are_far_apart_take_one_at_a_time(
    shares: BudgetShares, budgets: CountingBudgets, clock: VirtualClock
) -> None:
    for _ in range(3):
        assert take(shares) is None
        clock.advance(SHARE_LIFE)
    assert budgets.taken == [1, 1, 1]


def test_what_was_taken_in_advance_is_not_used_after_its_time(
    shares: BudgetShares, budgets: CountingBudgets, clock: VirtualClock
) -> None:
    assert [take(shares) for _ in range(4)] == [None] * 4
    assert budgets.taken == [1, 2, 4]
    clock.advance(SHARE_LIFE)
    assert take(shares) is None
    assert budgets.taken == [1, 2, 4, 1]


def test_where_less_is_left_than_is_wanted_in_advance_one_is_taken(
    clock: VirtualClock, budgets: CountingBudgets
) -> None:
    few = Budget(10, burst=4)
    first, second = BudgetShares(budgets, clock), BudgetShares(budgets, clock)
    assert [take(first, budget=few) for _ in range(2)] == [None] * 2  # of which the second took two
    assert take(second, budget=few) is None
    assert take(second, budget=few) == NOON + timedelta(milliseconds=100)
    assert budgets.taken == [1, 2, 1, 2, 1]


def test_whoever_was_refused_asks_the_store_again_when_it_is_time(
    shares: BudgetShares, budgets: CountingBudgets, clock: VirtualClock
) -> None:
    one = Budget(1, burst=1)
    assert take(shares, budget=one) is None
    assert [take(shares, budget=one) for _ in range(5)] == [NOON + timedelta(seconds=1)] * 5
    assert budgets.taken == [1, 1]
    clock.advance(timedelta(seconds=1))
    assert take(shares, budget=one) is None


def test_an_api_that_is_closed_is_closed_for_this_instance_at_once_and_for_others_within_a_second(
    budgets: CountingBudgets, clock: VirtualClock
) -> None:
    here, there = BudgetShares(budgets, clock), BudgetShares(budgets, clock)
    assert [take(there) for _ in range(2)] == [None] * 2
    until = NOON + timedelta(hours=1)
    here.close(TENANT, api="shop", until=until, budget=BUDGET)
    assert take(here) == until
    assert take(here, OTHER) is None
    assert take(there) is None  # of what it had already
    assert take(there) == until


def test_without_a_budget_an_instance_minds_what_it_was_told_and_asks_no_store(
    shares: BudgetShares, budgets: CountingBudgets, clock: VirtualClock
) -> None:
    assert take(shares, budget=None) is None
    shares.close(TENANT, api="shop", until=NOON + MOMENT, budget=None)
    assert take(shares, budget=None) == NOON + MOMENT
    clock.advance(MOMENT)
    assert take(shares, budget=None) is None
    assert budgets.taken == []


def test_a_store_that_cannot_be_reached_lets_nothing_through(clock: VirtualClock) -> None:
    class Unreachable(InMemoryBudgets):
        @override
        def take(
            self, tenant_id: TenantId, *, api: str, number: int, budget: Budget, now: datetime
        ) -> datetime | None:
            raise TransientError("not today")

    with pytest.raises(TransientError):
        take(BudgetShares(Unreachable(InMemoryStore()), clock))


def test_of_many_tenants_those_that_are_at_rest_are_forgotten(
    shares: BudgetShares, clock: VirtualClock
) -> None:
    shares.close(TENANT, api="shop", until=NOON + timedelta(hours=1), budget=None)
    for number in range(25_000):
        take(shares, TenantId(f"tenant-{number}"), budget=None)
    assert len(shares._shares) <= 10_000
    assert take(shares, budget=None) is not None


@given(
    number=st.integers(1, 200),
    per=st.integers(1, 20),
    burst=st.integers(1, 60),
    skews=st.lists(st.integers(0, 30_000), min_size=1, max_size=4),
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0, 0, 0, 1, 10, 300, 1_000, 9_000])), max_size=120
    ),
)
def test_however_instances_share_it_no_span_has_more_than_the_budget_and_the_documented_slack(
    number: int, per: int, burst: int, skews: list[int], steps: list[tuple[int, int]]
) -> None:
    budget, clock, store = (
        Budget(number, per=timedelta(seconds=per), burst=burst),
        VirtualClock(NOON),
        InMemoryStore(),
    )
    instances = [
        BudgetShares(InMemoryBudgets(store), Skewed(clock, timedelta(milliseconds=skew))) for skew in skews
    ]
    asked = []
    for which, pause in steps:
        clock.advance(timedelta(milliseconds=pause))
        if take(instances[which % len(instances)], budget=budget) is None:
            asked.append(clock.now())
    slack = SHARE_LIFE + timedelta(milliseconds=max(skews) - min(skews))
    if asked:
        assert most_over(asked, budget, slack=slack) <= burst


@given(st.integers(1, 1_000), st.integers(1, 10_000_000), st.integers(1, 1_000))
def test_requests_never_cost_less_than_their_part_of_the_rate(number: int, per: int, some: int) -> None:
    per = max(per, number)
    cost = Budget(number, per=timedelta(microseconds=per)).cost(some)
    assert 0 <= cost / timedelta(microseconds=1) - some * per / number < 1.001


def test_without_a_burst_a_second_is_one() -> None:
    assert Budget(50).most_at_once == 50
    assert Budget(100, per=timedelta(minutes=1)).most_at_once == 1
    assert Budget(600, per=timedelta(minutes=1)).share == 5


@pytest.mark.parametrize("number", [0, -1])
def test_a_budget_of_nothing_is_refused(number: int) -> None:
    with pytest.raises(DeclarationError, match="1 or more requests"):
        Budget(number)
    with pytest.raises(DeclarationError, match="at least one request"):
        Budget(1, burst=number)


def test_a_rate_beyond_the_clocks_resolution_is_refused() -> None:
    with pytest.raises(DeclarationError, match="a microsecond each"):
        Budget(3, per=timedelta(microseconds=2))
