"""Whatever step a process dies at, with SIGKILL, the next one brings everything to the same end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from api_exchange_testing.postgres import PostgresServer
from benchmarks.torture import planted
from benchmarks.torture.crash_points import Plant, Voyage, explored
from benchmarks.torture.exchange import TENANTS, Trouble
from benchmarks.torture.machine import Place
from benchmarks.torture.workload import Workload

pytestmark = pytest.mark.timeout(400)  # each step is a process; on a busy machine that adds up

SEED = 19494
"""One order that two messages bring, one hot order, one that nobody can take, and one call that fails for now."""

NewPlace = Callable[[bool], Place]


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> NewPlace:
    """Makes places with empty databases; True keeps the queues in a database of their own."""

    def on_sqlite(apart: bool) -> Place:
        store = f"sqlite:///{tmp_path}/store.db"
        queues = f"sqlite:///{tmp_path}/queues.db" if apart else store
        return Place(store_url=store, queue_url=queues, folder=tmp_path)

    def on_postgresql(apart: bool) -> Place:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        store = server.create_database()
        return Place(store_url=store, queue_url=server.create_database() if apart else store, folder=tmp_path)

    return on_sqlite if request.param == "sqlite" else on_postgresql


def voyage(place: Place, plant: Plant | None = None) -> Voyage:
    return Voyage(
        place=place,
        workload=Workload(SEED, 4, tenants=TENANTS[:1]),
        trouble=Trouble(SEED, 0.1),
        plant=plant,
    )


@pytest.mark.slow
@pytest.mark.parametrize("apart", [False, True], ids=["queues-here", "queues-apart"])
def test_a_process_may_die_at_any_step(new_place: NewPlace, apart: bool) -> None:
    found = explored(voyage(new_place(apart)))
    assert found.broken == {}
    assert len(found.steps) > 50
    for step in ("unit.acknowledge", "unit.commit", "files.append", "outbox.sent", "consumer.settle"):
        assert {f"before {step}", f"after {step}"} <= set(found.steps)
    assert ("before publisher.publish" in found.steps) is apart


@pytest.mark.slow
@pytest.mark.parametrize("apart", [False, True], ids=["queues-here", "queues-apart"])
def test_the_process_that_finishes_the_work_of_a_dead_one_may_die_as_well(
    new_place: NewPlace, apart: bool
) -> None:
    assert explored(voyage(new_place(apart)), every=9, twice=True).broken == {}


@pytest.mark.parametrize(
    ("new_place", "plant", "apart", "harmful"),
    [
        ("postgresql", planted.acknowledge_before_the_commit, False, "before unit.commit"),
        ("sqlite", planted.do_without_an_outbox, True, "before publisher.publish"),
        ("sqlite", planted.take_off_before_sending, True, "after INSERT INTO queue"),
    ],
    indirect=["new_place"],
    ids=["acknowledges-before-the-commit", "has-no-outbox", "takes-off-before-it-sends"],
)
def test_a_planted_bug_does_harm_at_its_step(
    new_place: NewPlace, plant: Plant, apart: bool, harmful: str
) -> None:
    found = explored(voyage(new_place(apart), plant), only=harmful)
    assert any("editions that went their whole way" in broken for broken in found.broken.values())
