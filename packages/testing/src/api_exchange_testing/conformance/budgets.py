"""What every `Budgets` does."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest

from api_exchange_core.domain.budget import MAX_SKEW, Budget
from api_exchange_core.ports.budgets import Budgets
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, NOW, OTHER_TENANT, TENANT
from api_exchange_testing.conformance._threads import THREADS, all_at_once, persistently
from api_exchange_testing.conformance.suite import Suite

ConnectBudgets = Callable[[], Budgets]
"""Gives another client of the same store, as another process would have it."""

_API = "shop"
_SECOND = timedelta(seconds=1)
_BUDGET = Budget(2, burst=4)  # one each half second, four after a rest
_STEPS = 120


class BudgetsSuite(Suite):
    """Needs a fixture `connect_budgets` that returns a `ConnectBudgets` on an empty store."""

    @pytest.fixture
    def instances(self, connect_budgets: ConnectBudgets) -> list[Budgets]:
        return [connect_budgets() for _ in range(3)]

    def test_after_a_rest_a_burst_is_let_through_and_no_more(self, instances: list[Budgets]) -> None:
        assert [_take(instances[place % 3]) for place in range(4)] == [None] * 4
        assert _take(instances[1]) == NOW + _SECOND / 2

    def test_what_is_refused_says_from_when_on_it_would_be_let_through(
        self, instances: list[Budgets]
    ) -> None:
        first, second, _ = instances
        assert _take(first, 3) is None
        again_at = _take(second, 4)
        assert again_at == NOW + _SECOND * 1.5
        assert _take(second, 4, now=again_at - timedelta(microseconds=1)) is not None
        assert _take(second, 4, now=again_at) is None

    def test_many_are_let_through_all_or_none(self, instances: list[Budgets]) -> None:
        first, second, third = instances
        assert _take(first, 3) is None
        assert _take(second, 2) is not None
        assert _take(third) is None

    def test_a_long_rest_saves_up_no_more_than_a_burst(self, instances: list[Budgets]) -> None:
        first, *_ = instances
        assert _take(first) is None
        late = NOW + timedelta(days=3)
        assert [_take(first, now=late) for _ in range(5)] == [None] * 4 + [late + _SECOND / 2]

    def test_tenants_and_apis_are_apart(self, instances: list[Budgets]) -> None:
        first, *_ = instances
        assert _take(first, 4) is None
        assert _take(first, 4, api=EVERY_SCRIPT) is None
        assert first.take(OTHER_TENANT, api=_API, number=4, budget=_BUDGET, now=NOW) is None
        assert _take(first, api=EVERY_SCRIPT) is not None

    def test_nobody_takes_anything_while_an_api_is_closed(self, instances: list[Budgets]) -> None:
        first, second, _ = instances
        until = NOW + timedelta(hours=2)
        first.close(TENANT, api=_API, until=until)
        assert _take(second) == until
        assert second.take(OTHER_TENANT, api=_API, number=1, budget=_BUDGET, now=NOW) is None
        assert _take(second, 4, now=until) is None

    def test_of_two_times_until_which_it_is_closed_the_later_one_stands(
        self, instances: list[Budgets]
    ) -> None:
        first, second, third = instances
        assert _take(third, 2) is None
        first.close(TENANT, api=_API, until=NOW + 2 * _SECOND)
        second.close(TENANT, api=_API, until=NOW + _SECOND)
        assert _take(third) == NOW + 2 * _SECOND

    def test_closing_it_forgets_nothing_of_what_was_used(self, instances: list[Budgets]) -> None:
        first, second, _ = instances
        assert _take(first, 4) is None
        second.close(TENANT, api=_API, until=NOW + _SECOND / 4)
        assert _take(second) == NOW + _SECOND / 2

    def test_a_smaller_budget_holds_from_the_next_request_on(self, instances: list[Budgets]) -> None:
        first, second, _ = instances
        assert _take(first, 4) is None
        smaller = Budget(1, per=timedelta(minutes=1), burst=1)
        assert second.take(TENANT, api=_API, number=1, budget=smaller, now=NOW) == NOW + 2 * _SECOND
        assert second.take(TENANT, api=_API, number=1, budget=smaller, now=NOW + 2 * _SECOND) is None

    def test_a_clock_that_was_years_ahead_keeps_nobody_waiting(self, instances: list[Budgets]) -> None:
        first, second, _ = instances
        assert _take(first, now=NOW + 2 * MAX_SKEW + timedelta(days=999)) is None
        assert _take(second) is None

    @pytest.mark.parametrize("number", [0, 5])
    def test_what_can_never_be_let_through_is_refused(self, instances: list[Budgets], number: int) -> None:
        with pytest.raises(ValueError, match="from 1 to 4"):
            _take(instances[0], number)

    def test_of_many_that_ask_at_once_a_burst_gets_it(self, connect_budgets: ConnectBudgets) -> None:
        def take(_: int) -> bool:
            budgets = connect_budgets()
            return persistently(lambda: _take(budgets)) is None

        assert _BUDGET.most_at_once < THREADS
        assert sum(all_at_once(take)) == _BUDGET.most_at_once

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("spread", [timedelta(0), timedelta(seconds=30)])
    def test_over_any_span_there_are_no_more_than_the_rate_allows_in_it_and_a_burst(
        self, instances: list[Budgets], seed: int, spread: timedelta
    ) -> None:
        chance = random.Random(seed)  # noqa: S311 - repeatable is what it is for
        budget = Budget(chance.randint(1, 40), per=timedelta(seconds=chance.randint(1, 10)), burst=5)
        skews = [spread * chance.random() for _ in instances]
        now, taken = NOW, []
        for _ in range(_STEPS):
            now += timedelta(milliseconds=chance.choice([0, 1, 20, 200, 5_000]))
            which, number = chance.randrange(len(instances)), chance.randint(1, 5)
            its_time = now + skews[which]
            again_at = instances[which].take(TENANT, api=_API, number=number, budget=budget, now=its_time)
            if again_at is None:
                taken += [now] * number
        assert taken
        assert most_over(taken, budget, slack=spread) <= 5


def most_over(taken: Sequence[datetime], budget: Budget, *, slack: timedelta) -> float:
    """By how many requests any span of *taken*, which is in order, has more than the rate allows in it and *slack*."""
    return max(
        later - earlier + 1 - budget.number * ((taken[later] - taken[earlier] + slack) / budget.per)
        for later in range(len(taken))
        for earlier in range(later + 1)
    )


def _take(budgets: Budgets, number: int = 1, *, api: str = _API, now: datetime = NOW) -> datetime | None:
    return budgets.take(TENANT, api=api, number=number, budget=_BUDGET, now=now)
