"""Credentials in simulations."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import BaseModel
from typing_extensions import override

from api_exchange_core import (
    ApiCredentials,
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
)
from api_exchange_core.domain.errors import TenantError
from api_exchange_testing import Simulation, explore


class Account(BaseModel):
    user: str


ACCOUNT = ApiCredentials("shop", Account)


class Fetch(ProcessorInterface):
    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_message(ACCOUNT.get().user)
        result.add_output_handler(QueueOutputHandler("fetched"))
        return result


def fetching() -> Exchange:
    exchange = Exchange("orders", tenants=["acme"])
    exchange.queue("fetch", "wanted", Fetch)
    return exchange


def test_what_waits_for_credentials_goes_on_when_they_are_set() -> None:
    def scenario(simulation: Simulation) -> None:
        simulation.send("wanted", {})
        simulation.later(timedelta(hours=1), lambda: simulation.set_credentials("shop", {"user": "late"}))
        simulation.invariant(fetched_once)

    def fetched_once(simulation: Simulation) -> str | None:
        found = [message.payload for message in simulation.sent("fetched")]
        return None if found == ["late"] else f"fetched: {found}"

    explore(fetching, scenario, schedules=20)


def test_of_several_tenants_one_is_to_be_named() -> None:
    exchange = Exchange("orders", tenants=["acme", "umbrella"])
    exchange.queue("fetch", "wanted", Fetch)
    simulation = Simulation(exchange)
    with pytest.raises(TenantError, match="say tenant="):
        simulation.set_credentials("shop", b"secret")
    simulation.set_credentials("shop", b"secret", tenant="umbrella")
