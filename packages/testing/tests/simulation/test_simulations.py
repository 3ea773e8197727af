"""What simulations cover, what they promise, and how they tell of what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryPolicy,
)
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.exclusive import Exclusive
from api_exchange_core.domain.names import TenantId
from api_exchange_testing import BrokenPromiseError, Fault, Plan, Simulation, explore
from api_exchange_testing.simulation import Event
from api_exchange_testing.strategies import plans
from benchmarks.simulation.workshop import two_ticks, workshop

_SETUPS = [(False, False), (False, True), (True, False), (True, True)]


@pytest.mark.parametrize(("one_store", "keeper"), _SETUPS)
def test_a_rich_exchange_keeps_its_promises(one_store: bool, keeper: bool) -> None:
    steps = explore(workshop, two_ticks, schedules=25, instances=3, one_store=one_store, keeper=keeper)
    assert steps > 25 * 100


@pytest.mark.slow
@pytest.mark.parametrize(("one_store", "keeper"), _SETUPS)
def test_a_rich_exchange_keeps_its_promises_over_many_schedules(one_store: bool, keeper: bool) -> None:
    explore(workshop, two_ticks, schedules=250, seed=1_000, one_store=one_store, keeper=keeper)


@given(plans())
@settings(max_examples=30, deadline=None)
def test_no_plan_makes_the_exchange_lose_a_message(plan: Plan) -> None:
    simulation = Simulation(workshop(), plan=plan)
    two_ticks(simulation)
    simulation.run()


class Forward(ProcessorInterface):
    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        await asyncio.sleep(30)
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("forwarded"))
        return result


def one_message(
    *faults: tuple[int, Fault, int], keeper: bool = False, exclusive: bool | Exclusive = False
) -> Simulation:
    exchange = Exchange("one", tenants=["a"])
    exchange.queue("forward", "orders", Forward, exclusive=exclusive)
    plan = Plan(tuple(Event(*fault) for fault in faults))
    simulation = Simulation(exchange, plan=plan, keeper=keeper)
    simulation.send("orders", {})
    simulation.run()
    return simulation


def names(simulation: Simulation) -> list[str]:
    return [step.name for step in simulation.story]


def step_of(simulation: Simulation, name: str) -> int:
    return next(step.number for step in simulation.story if step.name == name)


def test_time_passes_while_a_processor_waits() -> None:
    simulation = one_message()
    begun, committed = step_of(simulation, "process"), step_of(simulation, "unit.commit")
    took = simulation.story[committed - 1].at - simulation.story[begun - 1].at
    assert timedelta(seconds=30) <= took < timedelta(seconds=31)


def test_a_keeper_renews_what_is_slow_and_without_one_somebody_else_receives_it() -> None:
    slow = (step_of(one_message(), "process"), Fault.SLOW, 100)
    kept, lost = one_message(slow, keeper=True), one_message(slow)
    assert names(kept).count("process") == 1
    assert names(kept).count("queue.extend") >= 4
    assert names(lost).count("process") > 1


def test_a_renewal_may_fail_and_the_next_one_saves_the_claim() -> None:
    slow = (step_of(one_message(), "process"), Fault.SLOW, 100)
    first = step_of(one_message(slow, keeper=True), "queue.extend")
    simulation = one_message(slow, (first, Fault.REFUSE, 0), keeper=True)
    assert names(simulation).count("process") == 1


def test_an_exclusive_claim_is_renewed_by_steps_of_its_own() -> None:
    simulation = one_message(keeper=True, exclusive=Exclusive(lease=timedelta(seconds=30)))
    assert names(simulation).count("unit.journal.renew") >= 2


def test_a_zombie_that_wakes_does_not_commit() -> None:
    exclusive = Exclusive(lease=timedelta(seconds=40))
    pause = (step_of(one_message(exclusive=exclusive), "process"), Fault.PAUSE, 70)
    simulation = one_message(pause, exclusive=exclusive)
    assert names(simulation).count("process") == 2
    assert len(simulation.sent("forwarded")) == 1


class FailsOnce(ProcessorInterface):
    def __init__(self) -> None:
        self.calls = 0

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.calls += 1
        if self.calls == 1:
            raise TransientError("not now")
        return ProcessingResult.create_success()


def test_others_go_on_while_a_quick_retry_waits() -> None:
    exchange = Exchange("quick", tenants=["a"])
    exchange.queue("first", "orders", FailsOnce, retry=RetryPolicy(quick_retries=1))
    exchange.queue("second", "other", Slow)
    simulation = Simulation(exchange, plan=Plan())
    simulation.send("orders", {})
    simulation.send("other", {})
    simulation.run()
    told = [(step.who[0], step.name) for step in simulation.story]
    slept = told.index(("A", "sleep"))
    again = next(at for at in range(slept, len(told)) if told[at] == ("A", "process"))
    assert ("B", "process") in told[slept:again]


class Slow(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


class LooksAtItsVersion(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        made = context.persist_entity(
            external_id=message.id, canonical_type="order", source="shop", data={"id": message.id}
        )
        assert made.version == 1
        return ProcessingResult.create_success()


def test_calls_of_a_batch_are_under_way_side_by_side() -> None:
    exchange = Exchange("batch", tenants=["a"])
    exchange.queue("look", "orders", LooksAtItsVersion, concurrency=2)

    def simulated(*events: Event) -> list[str]:
        simulation = Simulation(exchange, plan=Plan(events), instances=1)
        for number in range(2):
            simulation.send("orders", {"n": number})
        simulation.run()
        return [step.name for step in simulation.story]

    calm = simulated()
    first = calm.index("process") + 1
    switched = simulated(Event(first, Fault.SWITCH))
    assert calm[first] == "unit.begin"
    assert switched[first] == "process"


def test_chores_are_done_once_for_all_instances() -> None:
    simulation = Simulation(workshop(), plan=Plan(), instances=3)
    two_ticks(simulation)
    simulation.run()
    purged = {step.who for step in simulation.story if step.name == "retention.purge"}
    assert len(purged) == 1


def test_what_is_left_of_an_erased_tenant_is_swept() -> None:
    simulation = Simulation(workshop(), plan=Plan())
    simulation.tick("collect")

    def erase() -> None:
        simulation.world.tenants.set_enabled(TenantId("a"), enabled=False)
        simulation.world.tenants.mark_erased(TenantId("a"), now=simulation.world.clock.now())

    simulation.later(timedelta(seconds=30), erase)
    simulation.later(timedelta(hours=2), lambda: simulation.tick("collect"))  # the sweep is hourly
    simulation.run()
    assert not simulation.world.store.of(TenantId("a")).journal
    assert simulation.world.store.of(TenantId("b")).journal


def told(fault: Fault, *, payloads: Sequence[object] = ({},)) -> str:
    exchange = Exchange("told", tenants=["a"])
    exchange.queue("forward", "orders", Slow)
    simulation = Simulation(exchange, plan=Plan((Event(4, fault, 10),)))
    for payload in payloads:
        simulation.send("orders", payload)
    simulation.invariant(lambda _: "told on purpose")
    with pytest.raises(BrokenPromiseError) as caught:
        simulation.run()
    return str(caught.value)


@pytest.mark.parametrize("fault", [Fault.PAUSE, Fault.SLOW, Fault.CRASH_BEFORE, Fault.REFUSE])
def test_a_failure_tells_its_story(fault: Fault) -> None:
    story = told(fault)
    assert story.startswith("told on purpose\n")
    assert "A1   receives m1 from orders" in story
    assert "^^^" in story
    assert "m1 = " in story
    assert "Again: Simulation(..., plan=Plan(" in story


def test_a_failure_that_a_seed_found_names_the_seed_and_comes_short() -> None:
    def scenario(simulation: Simulation) -> None:
        two_ticks(simulation)
        simulation.invariant(
            lambda one: "somebody died" if any(step.who == "A2" for step in one.story) else None
        )

    with pytest.raises(BrokenPromiseError, match="somebody died") as caught:
        explore(workshop, scenario, seed=5)
    assert len(caught.value.plan.events) == 1
    assert caught.value.plan.skew == ()
    assert "Found with seed" in caught.value.__notes__[0]


def test_a_plan_of_one_event_cannot_be_out_of_range() -> None:
    with pytest.raises(ValueError, match="steps count from 1"):
        Event(0, Fault.SWITCH)
