"""What handling costs without any I/O: decode, check, call, hash, version, encode, over ports that do nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from dependency_injector import providers
from pydantic_core import from_json

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
)
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.entity import EntityHead
from api_exchange_core.domain.envelope import encode
from api_exchange_core.domain.names import EntityId, FunctionName, MessageId, TenantId
from api_exchange_core.domain.tenant import Tenant
from api_exchange_core.ports.journal import JournalEntry
from api_exchange_core.ports.observer import PassedOn
from benchmarks.measuring import Row, against, interleaved, show

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORDER = {
    "id": "cdnow-000001",
    "customer": "00004",
    "placed_on": "1997-01-01",
    "cds": 2,
    "total": "29.33",
    "currency": "USD",
    "lines": [{"sku": f"cd-{n}", "title": "A title of some length", "price": "14.66"} for n in range(2)],
}


class Keep(ProcessorInterface):
    """One entity, one output."""

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        context.persist_entity(
            external_id=message.id, canonical_type="customer_order", source="benchmark", data=message.payload
        )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("kept"))
        return result


class Nothing:
    """Every port, doing nothing: a clock that stands still, a store that keeps nothing, an observer without ears."""

    @property
    def entities(self) -> Nothing:
        return self

    journal = outbox = errors = checkpoints = entities

    @contextmanager
    def begin(self, _: TenantId) -> Iterator[Nothing]:
        yield self

    def now(self) -> datetime:
        return NOW

    def completed(self, _: FunctionName, __: Collection[MessageId]) -> frozenset[MessageId]:
        return frozenset()

    def complete(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        return frozenset(entry.message_id for entry in entries)

    def heads(self, _: Sequence[EntityId], **__: object) -> Mapping[EntityId, EntityHead]:
        return {}

    def get(self, tenant_id: TenantId) -> Tenant:
        return Tenant(tenant_id)

    def write(self, *_: object) -> None: ...

    def add(self, *_: object, **__: object) -> Sequence[Any]:
        return ()

    def acknowledge(self, _: object) -> Sequence[Delivery]:
        return ()

    def commit(self) -> None: ...

    def sent(self, _: object) -> None: ...

    def bound(self, **_: object) -> Any:
        return nullcontext()

    def trace(self, message: Message, **_: object) -> PassedOn:
        return PassedOn(message.trace)

    def batch(self, _: FunctionName, **__: object) -> Any:
        return nullcontext()

    def handled(self, _: object) -> None: ...


def delivery(number: int) -> Delivery:
    """A message as a queue would hand it over."""
    message = Message(
        id=MessageId(f"message-{number}"),
        tenant_id=TenantId("customer-a"),
        source="/benchmark/feed",
        payload=cast("Any", ORDER),
        time=NOW,
        correlation_id="c-1",
    )
    return Delivery(
        queue=cast("Any", "orders"),
        body=encode(message),
        receipt=str(number),
        receive_count=1,
        enqueued_at=NOW,
    )


def measure() -> list[Row]:
    """Microseconds a message, in batches of 1 and 100, beside decoding and encoding its JSON alone."""
    nothing = providers.Object(Nothing())
    exchange = Exchange("benchmark", tenants=["customer-a"])
    function = exchange.queue("keep", "orders", Keep)
    names = [
        name
        for name, slot in UseCases.dependencies.items()
        if isinstance(slot, providers.Dependency) and slot.default is None and name != "exchange"
    ]
    handler = UseCases(exchange=providers.Object(exchange), **dict.fromkeys(names, nothing)).handler()
    batch = [delivery(number) for number in range(100)]
    body = batch[0].body
    seconds = interleaved(
        {
            "JSON in and out alone (pydantic_core, orjson)": lambda: [
                orjson.dumps(from_json(body)) for _ in batch
            ],
            "one by one": lambda: [handler.handle(function, [one]) for one in batch],
            "in a batch of 100": lambda: handler.handle(function, batch),
        },
        rounds=15,
        number=3,
    )
    a_message = {name: value / len(batch) for name, value in seconds.items()}
    return against("JSON in and out alone (pydantic_core, orjson)", a_message)


def main() -> None:
    """Print the report."""
    show("Handling a message without I/O (one entity, one output)", measure())


if __name__ == "__main__":
    main()
