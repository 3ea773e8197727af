"""Eight processes of sixteen threads on PostgreSQL, with clocks half a minute apart, whose token has just expired."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api_exchange_testing.postgres import PostgresServer
from benchmarks.tokens.run import LEASE, Deployment, Round, deployment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # a busy machine takes its time

PROCESSES, THREADS = 8, 16


@pytest.fixture(scope="module")
def running(postgres_server: PostgresServer) -> Iterator[Deployment]:
    database = postgres_server.create_database()
    with deployment(database, processes=PROCESSES, threads=THREADS, takes=0.5) as started:
        yield started


def everybody_got_the_last_token(found: Round) -> bool:
    return set(found.tokens) == {found.hits[-1].token} and not found.errors


def test_the_vendor_is_asked_once_and_nobody_gets_an_invalid_token(running: Deployment) -> None:
    found = running.at_once("at-once")
    print(
        f"beyond the vendor's time: p50 {found.wait(0.5) * 1000:.0f} ms, p99 {found.wait(0.99) * 1000:.0f} ms"
    )
    assert len(found.hits) == 1
    assert everybody_got_the_last_token(found)
    assert len(found.tokens) == PROCESSES * THREADS
    assert found.wait(0.99) < LEASE  # which would be a lease that somebody waited out


def test_a_leader_that_stood_still_stores_nothing_and_uses_its_successors_token(running: Deployment) -> None:
    found = running.leader_paused("paused")
    assert [hit.worker == found.leader for hit in found.hits] == [True, False]
    assert (found.generations, found.late) == (1, 1)
    assert everybody_got_the_last_token(found)
    assert len(found.tokens) == PROCESSES * THREADS


def test_a_leader_that_was_killed_costs_one_more_exchange_after_its_lease(running: Deployment) -> None:
    found = running.leader_killed("killed")
    assert [hit.worker == found.leader for hit in found.hits] == [True, False]
    assert found.hits[1].answered_at - found.hits[0].answered_at > LEASE - 2
    assert found.generations == 1
    assert everybody_got_the_last_token(found)
    assert len(found.tokens) == (PROCESSES - 1) * THREADS
