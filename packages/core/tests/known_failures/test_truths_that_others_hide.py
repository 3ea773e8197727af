"""Ways in which frameworks of this kind have told or stored something else than what was, each as it happened there."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path

import pytest
from dependency_injector import providers
from pydantic import SecretStr
from typing_extensions import override

from api_exchange_core import (
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    tenant_context,
)
from api_exchange_core.adapters.sql.schema import journal
from api_exchange_core.containers.local import LocalSettings, local_container
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.journal import ProcessingState
from api_exchange_core.ports.observer import Outcome
from api_exchange_testing import Harness, VirtualClock


class Keep(ProcessorInterface):
    """Persists what it is sent, as one order, and says for whom it ran."""

    def __init__(self) -> None:
        self.tenants: list[str] = []

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.tenants.append(context.tenant_id)
        if message.payload == "fail":
            raise PermanentError("as the test wants it")
        context.persist_entity(
            external_id="4711", canonical_type="order", source="shop", data=message.payload
        )
        return ProcessingResult.create_success()


@pytest.fixture
def keep() -> Keep:
    return Keep()


@pytest.fixture
def harness(keep: Keep) -> Harness:
    exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
    exchange.queue("keep", "inbox", keep)
    return Harness(exchange)


def versions(harness: Harness, tenant: str) -> list[int]:
    with tenant_context(tenant):
        head = harness.entities.head(external_id="4711", canonical_type="order", source="shop")
        return [] if head is None else [one.version for one in harness.entities.history(head.id)]


# Content


def test_the_same_content_five_times_is_one_version_and_back_and_forth_is_three(harness: Harness) -> None:
    for same in repeat({"n": 1}, 5):
        harness.send("inbox", same, tenant="customer-a")
        harness.run()
    for content in ("A", "B", "A"):
        harness.send("inbox", content, tenant="customer-b")
        harness.run()
    assert (versions(harness, "customer-a"), versions(harness, "customer-b")) == ([1], [1, 2, 3])


@pytest.mark.parametrize(
    "name", ["version", "metadata", "id", "hash", "tenant_id", "created_at", "updated_at"]
)
def test_a_field_counts_whatever_it_is_called(name: str) -> None:
    hasher = ContentHasher()
    hashes = {hasher.hash({"order": "1", name: value}, canonical_type="order") for value in ("old", "new")}
    assert len(hashes) == 2


# Tenants


@pytest.mark.parametrize("variable", ["TENANT_ID", "TENANT", "API_EXCHANGE_TENANT_ID", "API_EXCHANGE_TENANT"])
def test_no_variable_of_the_process_says_whose_a_message_is(
    harness: Harness, keep: Keep, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "customer-b")
    harness.send("inbox", {"n": 1}, tenant="customer-a")
    harness.run()
    assert keep.tenants == ["customer-a"]
    assert (versions(harness, "customer-a"), versions(harness, "customer-b")) == ([1], [])


# Telling


def test_when_40_of_40_messages_fail_observer_journal_and_dead_letters_say_40(harness: Harness) -> None:
    sent = [harness.send("inbox", "fail", tenant="customer-a") for _ in range(40)]
    harness.run()
    assert Counter(one.outcome for one in harness.handled) == {Outcome.DEAD_LETTERED: 40}
    rows = harness.store.of(TenantId("customer-a")).journal.values()
    assert Counter(row.state for row in rows) == {ProcessingState.DEAD: 40}
    assert {letter.id for letter, _ in harness.dead_letters() if letter is not None} == {
        message.id for message in sent
    }


def test_every_state_fits_its_column() -> None:
    width = journal.c.state.type.length  # type: ignore[attr-defined]  # a String
    assert max(map(len, ProcessingState)) <= width


# Parts


def test_an_adapter_that_is_exchanged_is_exchanged_everywhere(tmp_path: Path) -> None:
    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.queue("keep", "inbox", Keep)
    settings = LocalSettings(database_url=SecretStr(f"sqlite:///{tmp_path}/exchange.db"))
    container = local_container(exchange, settings)
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    container.clock.override(providers.Object(clock))
    runner, use_cases = container.runner(), container.use_cases
    assert {
        id(part)
        for part in (
            runner.clock,
            runner.handler.clock,
            runner.handler.flush.clock,
            runner.do_chore.clock,
            use_cases.relay().clock,
            runner.fan_out.clock,
            container.queue().clock,
            use_cases.sender().clock,
            use_cases.entity_service().clock,
        )
    } == {id(clock)}
    assert runner.handler.units is use_cases.entity_service().units
