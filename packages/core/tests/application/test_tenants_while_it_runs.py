"""What becomes of messages when their tenant is configured, disabled or erased meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from pydantic import BaseModel, Field

from api_exchange_core import (
    Exchange,
    FileOutputHandler,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    RetryableError,
    Schedule,
    tenant_context,
)
from api_exchange_core.application.tenant_gate import GATE_MEMORY
from api_exchange_core.domain.errors import DeclarationError, InvalidPayloadError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.observer import Outcome
from api_exchange_testing import Harness

ACME, OTHER = TenantId("acme"), TenantId("other")


class ShopConfig(BaseModel):
    shop: str = "main"
    rows: int = Field(default=100, ge=1)


class Ask(ProcessorInterface):
    """Notes what it asks for, persists an order, and does what it is told beside that."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self._meanwhile = meanwhile

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        config = context.config_as(ShopConfig)
        self.asked.append((message.tenant_id, config.shop, config.rows))
        context.persist_entity(external_id="1", canonical_type="order", source="shop", data={"n": 1})
        self._meanwhile()
        result = ProcessingResult.create_success()
        result.add_output_handler(FileOutputHandler("orders.jsonl"))
        return result


def exchange_with(step: Ask, model: type[BaseModel] | None = ShopConfig) -> Exchange:
    exchange = Exchange("orders", tenants=[ACME, OTHER], tenant_config=model)
    exchange.queue("ask", "orders-wanted", step)
    exchange.timer("fetch-orders", Schedule.every(minutes=5), step)
    return exchange


def outcomes(harness: Harness) -> list[tuple[str | None, Outcome]]:
    return [(one.tenant_id, one.outcome) for one in harness.handled]


def test_a_processor_reads_the_configuration_of_its_messages_tenant() -> None:
    step = Ask()
    harness = Harness(exchange_with(step), tenant_config={ACME: {"shop": "acme-eu"}})
    for tenant in (ACME, OTHER):
        harness.send("orders-wanted", {}, tenant=tenant)
    harness.run()
    assert step.asked == [(ACME, "acme-eu", 100), (OTHER, "main", 100)]


def test_a_change_takes_effect_within_the_gates_memory_and_not_in_the_middle_of_it() -> None:
    step = Ask()
    harness = Harness(exchange_with(step), tenant_config={ACME: {"rows": 1}})
    for rows, wait in ((2, timedelta(0)), (3, GATE_MEMORY), (4, timedelta(0))):
        harness.send("orders-wanted", {}, tenant=ACME)
        harness.run()
        harness.configure(ACME, {"rows": rows})
        harness.clock.advance(wait)
    assert [rows for _, _, rows in step.asked] == [1, 1, 3]


def test_messages_of_a_tenant_that_is_configured_wrongly_wait_and_others_go_on() -> None:
    step = Ask()
    harness = Harness(exchange_with(step))
    harness.tenants.configure(ACME, {"rows": 0})  # as an older release of the exchange let it
    for tenant in (ACME, OTHER):
        harness.send("orders-wanted", {}, tenant=tenant)
    with pytest.raises(RuntimeError, match="not at rest"):
        harness.run(max_messages=10)
    assert step.asked == [(OTHER, "main", 100)]
    assert harness.dead_letters() == []
    (waiting,) = harness.queue("orders-wanted")
    assert waiting.attempt == 1
    assert {one.outcome for one in harness.handled if one.tenant_id == ACME} == {Outcome.DEFERRED}
    harness.configure(ACME, {"rows": 7})
    harness.run()
    assert step.asked[-1] == (ACME, "main", 7)
    assert harness.handled[-1].attempt == 1


def test_a_model_that_the_exchange_does_not_declare_holds_messages_up_as_well() -> None:
    step = Ask()
    harness = Harness(exchange_with(step, model=None))
    harness.tenants.configure(ACME, {"rows": 0})
    harness.send("orders-wanted", {}, tenant=ACME)
    with pytest.raises(RuntimeError, match="not at rest"):
        harness.run(max_messages=3)
    assert {one.outcome for one in harness.handled} == {Outcome.DEFERRED}


def test_a_harness_takes_no_configuration_that_the_exchange_would_not() -> None:
    with pytest.raises(InvalidPayloadError, match="rows"):
        Harness(exchange_with(Ask()), tenant_config={ACME: {"rows": 0}})
    with pytest.raises(DeclarationError, match="tenant_config"):
        Harness(exchange_with(Ask(), model=None), tenant_config={ACME: {}})


def test_nothing_begins_for_a_disabled_tenant() -> None:
    step = Ask()
    harness = Harness(exchange_with(step))
    harness.send("orders-wanted", {}, tenant=ACME)
    harness.tenants.set_enabled(ACME, enabled=False)
    assert list(harness.tick("fetch-orders")) == [OTHER]
    harness.run()
    assert [tenant for tenant, _, _ in step.asked] == [OTHER]
    assert len(harness.dead_letters("orders-wanted")) == 1


def erased(harness: Harness) -> None:
    harness.tenants.set_enabled(ACME, enabled=False)
    harness.tenants.mark_erased(ACME, now=harness.clock.now())
    harness.clock.advance(GATE_MEMORY)


def test_messages_of_an_erased_tenant_are_dropped_and_not_kept_as_dead_letters() -> None:
    step = Ask()
    harness = Harness(exchange_with(step))
    erased(harness)
    harness.send("orders-wanted", {"name": "somebody"}, tenant=ACME)
    assert list(harness.tick("fetch-orders")) == [OTHER]
    harness.run()
    assert (ACME, Outcome.DROPPED) in outcomes(harness)
    assert harness.dead_letters() == []
    assert harness.queue("orders-wanted") == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_call_that_runs_while_its_tenant_is_erased_leaves_nothing(fails: bool) -> None:
    def meanwhile() -> None:
        erased(harness)
        if fails:
            raise RetryableError("no answer for somebody")

    step = Ask(meanwhile)
    harness = Harness(exchange_with(step))
    harness.send("orders-wanted", {"name": "somebody"}, tenant=ACME)
    harness.run()
    assert outcomes(harness) == [(ACME, Outcome.DROPPED)]
    rows = harness.store.of(ACME)
    assert (rows.entities.heads, rows.journal, rows.errors) == ({}, {}, [])
    assert harness.store.relay_source.pending() == 0
    assert harness.files.names(ACME) == []
    with tenant_context(ACME):
        assert harness.entities.count() == 0
