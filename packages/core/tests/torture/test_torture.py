"""A short torture: processes killed and paused, a database crashed, and every message takes effect exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_exchange_testing.postgres import PostgresServer
from benchmarks.torture.planted import BUGS
from benchmarks.torture.run import Plan, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # a busy machine comes to rest later

SMALL = 600
SEED = 20260101


@pytest.mark.parametrize("apart", [False, True], ids=["queues-here", "queues-apart"])
def test_on_postgresql_killed_processes_and_a_crash_lose_nothing_and_do_nothing_twice(
    apart: bool, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    report = run(Plan(seed=SEED, messages=SMALL, apart=apart, every=0.7, faults_for=10), tmp_path)
    assert report.broken() == {}
    assert (report.injected["kills"] >= 2, report.injected["database restarts"]) == (True, 1)
    assert report.happened["retry"] > 0


@pytest.mark.parametrize("apart", [False, True], ids=["queues-here", "queues-apart"])
def test_on_sqlite_killed_processes_lose_nothing_and_do_nothing_twice(apart: bool, tmp_path: Path) -> None:
    plan = Plan(seed=SEED, messages=SMALL, database="sqlite", apart=apart, every=0.7, faults_for=10)
    report = run(plan, tmp_path)
    assert report.broken() == {}
    assert report.injected["kills"] >= 2
    assert report.happened["duplicate"] > 0


FOUND_BY = {
    "takes-off-at-receipt": "sent messages processed",
    "forgets-its-journal": "messages that made two versions",
    "last-writer-wins": "entities with too few or too many versions",
}


def test_every_bug_that_can_be_planted_is_planted_here() -> None:
    assert FOUND_BY.keys() == BUGS.keys()


@pytest.mark.parametrize("bug", FOUND_BY)
def test_a_planted_bug_is_found(bug: str, tmp_path: Path, postgres_server: PostgresServer) -> None:
    def is_found(seed: int) -> bool:
        folder = tmp_path / str(seed)
        folder.mkdir()
        plan = Plan(seed=seed, messages=SMALL, every=0.5, faults_for=5, rest_within=20, restarts=0, bug=bug)
        return FOUND_BY[bug] in run(plan, folder).broken()

    # Whether two writers meet is up to the machine: a bug that needs it has a few chances.
    assert any(is_found(seed) for seed in range(SEED, SEED + 5))
