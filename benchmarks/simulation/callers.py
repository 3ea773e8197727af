"""Exchanges that call somebody's API with tokens, right in all of it, for simulations to run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from api_exchange_core import (
    ApiTokenService,
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryPolicy,
    TokenPool,
)
from api_exchange_core.domain.errors import TransientError
from api_exchange_testing import SimulatedVendor, Simulation
from benchmarks.simulation.workshop import TENANTS

CALLS = 6
LIFETIME = timedelta(minutes=3)


def _called(message: Message) -> ProcessingResult:
    result = ProcessingResult.create_success()
    result.add_output_message({"of": message.id})
    result.add_output_handler(QueueOutputHandler("called"))
    return result


class CallsApi(ProcessorInterface):
    """Calls an API; when its token is refused, once more with another one."""

    def __init__(self, vendor: SimulatedVendor, tokens: ApiTokenService) -> None:
        self.vendor = vendor
        self.tokens = tokens

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # noqa: ARG002 - as declared
        for _ in range(2):
            token, token_id = self.tokens.get_valid_token()
            if self.vendor.serves(token):
                return _called(message)
            self.tokens.invalidate(token_id)
        raise TransientError("the API refuses one token after the other")


class CallsApiAsync(CallsApi):
    """The same, ``async def``."""

    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # type: ignore[override] # noqa: ARG002 - may be async
        for _ in range(2):
            token, token_id = await self.tokens.get_valid_token_async()
            if self.vendor.serves(token):
                return _called(message)
            await self.tokens.invalidate_async(token_id)
        raise TransientError("the API refuses one token after the other")


def caller(
    vendor: SimulatedVendor, *, pool: TokenPool | None = None, processor: type[CallsApi] = CallsApi
) -> Exchange:
    """The exchange: six calls for each tenant come in, two at a time of a batch are under way."""
    tokens = ApiTokenService("shop", vendor, pool=pool)
    exchange = Exchange("caller", tenants=TENANTS)
    exchange.queue(
        "call",
        "calls",
        lambda: processor(vendor, tokens),
        concurrency=2,
        retry=RetryPolicy(max_attempts=10),
    )
    return exchange


def calls(vendor: SimulatedVendor) -> Callable[[Simulation], None]:
    """Calls come at once, when the token is about to end, when it has, and when the vendor has ended it early."""

    def scenario(simulation: Simulation) -> None:
        def send(number: int) -> None:
            for tenant in TENANTS:
                simulation.send("calls", {"number": number}, tenant=tenant)

        def send_refused() -> None:
            vendor.revoke()
            for number in range(3, CALLS):
                send(number)

        send(0)
        send(1)
        simulation.later(LIFETIME * 0.85, lambda: send(2))
        simulation.later(LIFETIME * 1.1, lambda: send(3))
        simulation.later(LIFETIME * 1.2, send_refused)

    return scenario
