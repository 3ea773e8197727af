from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api_exchange_core import DeclarationError, Exchange, ProcessorInterface, Retention, RetryPolicy
from api_exchange_core.domain.output import MAX_DELAY
from api_exchange_core.domain.retention import LONGEST_IN_QUEUE, SHORTEST_JOURNAL, Expiry, Kept

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Step(ProcessorInterface):
    def process(self, message: Any, context: Any) -> Any:
        raise AssertionError("not called")


def test_the_journal_outlasts_every_copy_of_a_message_by_a_day() -> None:
    assert max(LONGEST_IN_QUEUE, MAX_DELAY) + DAY == SHORTEST_JOURNAL
    assert Retention(journal=SHORTEST_JOURNAL).journal == SHORTEST_JOURNAL
    with pytest.raises(DeclarationError, match="15 days"):
        Retention(journal=SHORTEST_JOURNAL - timedelta(seconds=1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"journal": 90},
        {"errors": timedelta(0)},
        {"errors": 91 * DAY},
        {"versions": timedelta(hours=1)},
        {"requests": timedelta(hours=23)},
        {"last_versions": 0},
        {"last_versions": True},
        {"last_versions": 1.5},
    ],
)
def test_what_cannot_be_kept_so_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match=f"retention: {next(iter(wrong))}"):
        Retention(**wrong)


def test_unless_it_is_declared_all_versions_stay() -> None:
    assert Retention().expiries(NOW) == [
        Expiry(Kept.ERRORS, before=NOW - 90 * DAY),
        Expiry(Kept.JOURNAL, before=NOW - 90 * DAY),
        Expiry(Kept.REQUESTS, before=NOW - 7 * DAY),
    ]


def test_errors_go_before_the_journal_that_says_what_they_were_about() -> None:
    kept = Retention(journal=30 * DAY, errors=7 * DAY, versions=365 * DAY, last_versions=10, requests=3 * DAY)
    assert kept.expiries(NOW) == [
        Expiry(Kept.ERRORS, before=NOW - 7 * DAY),
        Expiry(Kept.JOURNAL, before=NOW - 30 * DAY),
        Expiry(Kept.VERSIONS, before=NOW - 365 * DAY, beyond=10),
        Expiry(Kept.REQUESTS, before=NOW - 3 * DAY),
    ]
    assert Retention(journal=30 * DAY).expiries(NOW)[0] == Expiry(Kept.ERRORS, before=NOW - 30 * DAY)


def test_a_function_whose_retries_outwait_the_journal_is_refused() -> None:
    slow = RetryPolicy(max_delay=20 * DAY)
    Exchange("orders").queue("slow", "orders-in", Step, retry=slow)
    short = Exchange("orders", retention=Retention(journal=20 * DAY))
    with pytest.raises(DeclarationError, match="'slow' may wait for 20 days"):
        short.queue("slow", "orders-in", Step, retry=slow)
    short.queue("once", "orders-in", Step, retry=RetryPolicy(max_attempts=1, max_delay=20 * DAY))


def test_a_retention_is_one() -> None:
    with pytest.raises(DeclarationError, match="retention of 'orders'"):
        Exchange("orders", retention=30 * DAY)  # type: ignore[arg-type]  # the point
