"""Tokens of an API that many instances call, which crash, stall and lose answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings

from api_exchange_core import (
    ApiTokenService,
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
)
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.secret import Secret
from api_exchange_core.domain.tenant import tenant_context
from api_exchange_core.ports.token_grant import TokenRefusedError
from api_exchange_testing import BrokenPromiseError, Harness, Plan, SimulatedVendor, Simulation
from api_exchange_testing.simulation import Event, Fault
from api_exchange_testing.strategies import plans
from benchmarks.simulation.callers import CALLS, LIFETIME, CallsApi, CallsApiAsync, caller, calls
from benchmarks.simulation.extraction import Extracts, eight_ticks, shop
from benchmarks.simulation.workshop import TENANTS
from benchmarks.simulation.wrong_tokens import POOL, SHORT

Setup = Callable[[], tuple[Exchange, SimulatedVendor]]


def _sync() -> tuple[Exchange, SimulatedVendor]:
    vendor = SimulatedVendor(lifetime=LIFETIME, timeout=SHORT)
    return caller(vendor), vendor


def _async() -> tuple[Exchange, SimulatedVendor]:
    vendor = SimulatedVendor(lifetime=LIFETIME, timeout=SHORT)
    return caller(vendor, processor=CallsApiAsync), vendor


def _rotating() -> tuple[Exchange, SimulatedVendor]:
    vendor = SimulatedVendor(lifetime=LIFETIME, timeout=SHORT, rotates=True)
    return caller(vendor), vendor


def _pool() -> tuple[Exchange, SimulatedVendor]:
    vendor = SimulatedVendor(lifetime=LIFETIME, timeout=SHORT, max_active=POOL.max_active)
    return caller(vendor, pool=POOL), vendor


SETUPS = pytest.mark.parametrize("setup", [_sync, _async, _rotating, _pool], ids=lambda one: one.__name__[1:])


def simulated(setup: Setup, *, seed: int = 0, plan: Plan | None = None) -> tuple[Simulation, SimulatedVendor]:
    exchange, vendor = setup()
    simulation = Simulation(exchange, seed=seed, plan=plan, instances=3)
    calls(vendor)(simulation)
    simulation.run()
    return simulation, vendor


@SETUPS
def test_tokens_are_right_whatever_goes_wrong(setup: Setup) -> None:
    for seed in range(8):
        simulated(setup, seed=seed)


@pytest.mark.slow
@SETUPS
def test_tokens_are_right_over_many_schedules(setup: Setup) -> None:
    for seed in range(5_000, 5_200):
        simulated(setup, seed=seed)


@SETUPS
def test_no_plan_makes_tokens_wrong(setup: Setup) -> None:
    @given(plans())
    @settings(max_examples=10, deadline=None)
    def holds(plan: Plan) -> None:
        simulated(setup, plan=plan)

    holds()


@pytest.mark.parametrize("setup", [_sync, _async])
def test_if_nothing_goes_wrong_all_instances_make_do_with_one_token_at_a_time(setup: Setup) -> None:
    simulation, vendor = simulated(setup, plan=Plan())
    assert len(simulation.sent("called")) == len(TENANTS) * (CALLS + 1)
    issued = [one.token for one in vendor.issues if one.tenant_id == TENANTS[0]]
    assert len(issued) <= 4  # the first, the next ahead of time or at its end, and one after it was revoked
    assert not vendor.wrong


def test_waits_of_async_processors_take_turns_with_what_has_a_thread_of_its_own() -> None:
    simulation, _ = simulated(_async, plan=Plan())
    asked = [step for step in simulation.story if step.name == "vendor.token"]
    assert asked
    assert all(step.answer is not None for step in asked)


class Sleeps(ProcessorInterface):
    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        assert await asyncio.to_thread(lambda: message.id) == message.id
        with pytest.raises(KeyError, match="on purpose"):
            await asyncio.to_thread(_raise_key_error)
        async with asyncio.timeout(30):
            await asyncio.sleep(1)
        return ProcessingResult.create_success()


def _raise_key_error() -> None:
    raise KeyError("on purpose")


def test_what_runs_in_a_thread_answers_and_fails_as_ever() -> None:
    exchange = Exchange("threads", tenants=["a"])
    exchange.queue("sleep", "orders", Sleeps, concurrency=2)
    simulation = Simulation(exchange, plan=Plan())
    simulation.send("orders", {})
    simulation.send("orders", {"second": True})
    began = time.monotonic()
    simulation.run()
    assert time.monotonic() - began < 5
    assert not simulation.dead_letters()


def test_a_rotating_refresh_token_is_not_sent_again_when_its_answer_was_lost() -> None:
    simulation, vendor = simulated(_rotating, plan=Plan())
    asked = next(step.number for step in simulation.story if step.name == "vendor.token")
    after, vendor = simulated(_rotating, plan=Plan((Event(asked, Fault.CRASH_AFTER),)))
    (tenant,) = {one.tenant_id for one in vendor.issues if one.token == "token-1"}
    assert [one.token for one in vendor.issues if one.tenant_id == tenant] == ["token-1"]
    assert {letter.tenant_id for letter in after.dead_letters()} == {tenant}


def test_a_lease_is_passed_on_when_its_holder_ends_while_the_vendor_answers() -> None:
    simulation, _ = simulated(_sync, plan=Plan())
    asked = next(step.number for step in simulation.story if step.name == "vendor.token")
    after, _ = simulated(_sync, plan=Plan((Event(asked, Fault.CRASH_AFTER),)))
    assert not after.dead_letters()
    assert len(after.sent("called")) == len(TENANTS) * (CALLS + 1)


class CallsWithMadeUpToken(CallsApi):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.vendor.serves("made-up")
        return ProcessingResult.create_success()


def test_a_call_with_a_token_that_was_never_issued_is_told_of() -> None:
    vendor = SimulatedVendor()
    simulation = Simulation(caller(vendor, processor=CallsWithMadeUpToken), plan=Plan())
    simulation.send("calls", {}, tenant=TENANTS[0])
    with pytest.raises(BrokenPromiseError, match="a token that was never issued"):
        simulation.run()


class CallsWithTokensOfOthers(CallsApi):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        with tenant_context(TENANTS[1]):
            token, _ = self.tokens.get_valid_token()
        self.vendor.serves(token)
        return ProcessingResult.create_success()


def test_a_call_with_another_tenants_token_is_told_of() -> None:
    vendor = SimulatedVendor()
    simulation = Simulation(caller(vendor, processor=CallsWithTokensOfOthers), plan=Plan())
    simulation.send("calls", {}, tenant=TENANTS[0])
    with pytest.raises(BrokenPromiseError, match="a tenant crossed"):
        simulation.run()


def two_calls(plan: Plan) -> Simulation:
    """A token that lives for a minute; one call at once, and another when it has ended."""
    simulation = Simulation(caller(SimulatedVendor(lifetime=timedelta(minutes=1), timeout=SHORT)), plan=plan)
    simulation.send("calls", {}, tenant=TENANTS[0])
    simulation.later(timedelta(seconds=80), lambda: simulation.send("calls", {}, tenant=TENANTS[0]))
    simulation.run()
    return simulation


def test_a_token_that_is_stored_late_does_not_live_longer() -> None:
    story = two_calls(Plan()).story
    asked = next(step.number for step in story if step.name == "vendor.token")
    sealed = next(step.number for step in story if step.name == "sealer.seal" and step.number > asked)
    two_calls(Plan((Event(sealed, Fault.PAUSE, 40),)))


# The vendor alone


class Once(ProcessorInterface):
    def __init__(self, vendor: SimulatedVendor, tokens: ApiTokenService) -> None:
        self.vendor = vendor
        self.tokens = tokens

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        token, token_id = self.tokens.get_valid_token()
        assert self.vendor.serves(token)
        self.vendor.revoke("a")
        assert not self.vendor.serves(token)
        self.tokens.invalidate(token_id)
        assert self.vendor.serves(self.tokens.get_valid_token()[0])
        return ProcessingResult.create_success()


def test_a_vendor_serves_a_harness_as_well_and_time_passes() -> None:
    vendor = SimulatedVendor(takes=timedelta(seconds=2))
    tokens = ApiTokenService("shop", vendor)
    exchange = Exchange("one", tenants=["a"])
    exchange.queue("once", "orders", lambda: Once(vendor, tokens))
    harness = Harness(exchange)
    start = harness.clock.now()
    harness.send("orders", {})
    harness.run()
    assert harness.counts["once"] == {"completed": 1}
    assert len(vendor.issues) == 2
    assert harness.clock.now() - start >= timedelta(seconds=10)
    assert vendor.live("a", harness.clock.now()) == 1


class AsksByHand(ProcessorInterface):
    def __init__(self, vendor: SimulatedVendor) -> None:
        self.vendor = vendor

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        first = self.vendor.ask(None).refresh_token
        self.vendor.ask(first)
        with pytest.raises(TokenRefusedError) as refused:
            self.vendor.ask(first)
        assert refused.value.final
        return ProcessingResult.create_success()


def test_a_refresh_token_that_is_sent_twice_costs_all_tokens() -> None:
    vendor = SimulatedVendor(rotates=True)
    exchange = Exchange("one", tenants=["a"])
    exchange.queue("ask", "orders", lambda: AsksByHand(vendor))
    harness = Harness(exchange)
    harness.send("orders", {})
    harness.run()
    assert harness.counts["ask"] == {"completed": 1}
    assert vendor.wrong == ["a refresh token sent twice: a, who has lost all tokens by it"]
    assert vendor.live("a", harness.clock.now()) == 0


class AsksThrice(AsksByHand):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        tokens = [self.vendor.ask(None).token for _ in range(3)]
        assert [self.vendor.serves(one.reveal()) for one in tokens] == [False, True, True]
        assert Secret("token-1") in tokens
        return ProcessingResult.create_success()


def test_one_token_more_than_may_live_ends_the_oldest() -> None:
    vendor = SimulatedVendor(max_active=2)
    exchange = Exchange("one", tenants=["a"])
    exchange.queue("ask", "orders", lambda: AsksThrice(vendor))
    harness = Harness(exchange)
    harness.send("orders", {})
    harness.run()
    assert harness.counts["ask"] == {"completed": 1}
    assert len(vendor.wrong) == 1
    assert [one.tenant_id for one in vendor.issues] == [TenantId("a")] * 3


def test_an_extraction_takes_each_order_once_whatever_goes_wrong() -> None:
    for seed in range(20):
        simulation = Simulation(shop(Extracts), seed=seed, instances=3)
        eight_ticks(simulation)
        simulation.run()
