"""A whole exchange in memory, on a clock that jumps."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from dependency_injector import providers

from api_exchange_core import DeclarationError, EntityReference, Exchange, Function, Message
from api_exchange_core.application.administer_tenants import ConfigureTenant
from api_exchange_core.application.entity_service import EntityService
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.envelope import decode, decode_failure
from api_exchange_core.domain.errors import InvalidMessageError, TenantError
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.names import QueueName, TenantId, dead_letter_queue, tenant_id
from api_exchange_core.domain.trigger import TimerTrigger
from api_exchange_core.ports.observer import Handled
from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.memory.eraser import InMemoryEraser
from api_exchange_testing.memory.file_sink import InMemoryFileSink
from api_exchange_testing.memory.leases import InMemoryLeases
from api_exchange_testing.memory.observer import RecordingObserver
from api_exchange_testing.memory.queue import InMemoryQueue
from api_exchange_testing.memory.randomness import SeededRandomness
from api_exchange_testing.memory.retention_store import InMemoryRetentionStore
from api_exchange_testing.memory.sleeper import VirtualSleeper
from api_exchange_testing.memory.tenant_directory import InMemoryTenantDirectory
from api_exchange_testing.memory.unit_of_work import InMemoryStore, InMemoryUnitOfWorkFactory

START = datetime(2026, 1, 1, tzinfo=UTC)
"""When the clock of a harness starts, unless it is handed another."""

_BATCH = 10
_VISIBILITY = timedelta(minutes=5)


class Harness:
    """Runs an exchange with the real use cases over adapters in memory, one batch after the other, to rest.

    Args:
        exchange: the application, as it is deployed.
        clock: tells the time; the harness advances it to the next message that is due.
        hasher: hashes the contents of entities; if not given, without key and the exchange's volatile fields.
        seed: chooses ids and jitter; the same seed gives the same run.
        tenant_config: for each tenant, the values of the exchange's `tenant_config`.

    Attributes:
        clock: to read the time, or to let some pass between runs.
        entities: the entity service; use it within `tenant_context`.
        files: what `FileOutputHandler` wrote.
        tenants: the directory, to disable a tenant or to add one.
        queues: the transport, to publish bytes or to look at messages as they are queued.
        store: what was committed, for units of work of one's own.
        observer: what was told to the observer; `handled` is the summaries.

    Raises:
        DeclarationError: a function's processor cannot be made.
        InvalidPayloadError: *tenant_config* does not fit the exchange's model.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        clock: VirtualClock | None = None,
        hasher: ContentHasher | None = None,
        seed: int = 0,
        tenant_config: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self.exchange = exchange
        self.clock = VirtualClock(START) if clock is None else clock
        self.queues = InMemoryQueue(self.clock)
        self.store = InMemoryStore()
        self.files = InMemoryFileSink()
        self.tenants = InMemoryTenantDirectory()
        self.tenants.add(exchange.tenants, now=self.clock.now())
        for tenant, values in (tenant_config or {}).items():
            self.configure(tenant, values)
        self.observer = RecordingObserver()
        for function in exchange.functions:
            function.processor  # noqa: B018 - made here, so that a wrong declaration stops the start
        use_cases = self._wired(seed)
        if hasher is not None:
            use_cases.hasher.override(providers.Object(hasher))
        self._handler = use_cases.handler()
        self._fan_out = use_cases.fan_out()
        self._sender = use_cases.sender()
        self.entities: EntityService = use_cases.entity_service()
        weakref.finalize(self, use_cases.calls().close)  # tests make many: no event loop outlives its harness

    def _wired(self, seed: int) -> UseCases:
        """The real use cases, as everywhere, over adapters in memory."""
        return UseCases(
            exchange=providers.Object(self.exchange),
            clock=providers.Object(self.clock),
            sleeper=providers.Object(VirtualSleeper(self.clock)),
            randomness=providers.Object(SeededRandomness(seed)),
            observer=providers.Object(self.observer),
            units=providers.Object(InMemoryUnitOfWorkFactory(self.store)),
            tenants=providers.Object(self.tenants),
            publisher=providers.Object(self.queues),
            files=providers.Object(self.files),
            outbox=providers.Object(self.store.relay_source),
            leases=providers.Singleton(InMemoryLeases),
            retention=providers.Object(InMemoryRetentionStore(self.store)),
            eraser=providers.Object(InMemoryEraser(self.store)),
        )

    @property
    def handled(self) -> list[Handled]:
        """What became of each message that was handled, in order."""
        return self.observer.summaries

    def configure(self, tenant: str, values: Mapping[str, object]) -> None:
        """Set all of a tenant's configuration; processors read it once the gate has forgotten the old one.

        Raises:
            TenantError: there is no such tenant.
            DeclarationError: the exchange declares no configuration.
            InvalidPayloadError: the values do not fit.
        """
        ConfigureTenant(self.tenants, self.exchange.tenant_config).replace(tenant_id(tenant), values)

    def send(
        self, queue: str, payload: object, *, tenant: str | None = None, entity: EntityReference | None = None
    ) -> Message:
        """Put a message into a queue.

        Args:
            queue: its name; a timer's or HTTP function's own queue is called like the function.
            payload: anything with a JSON form.
            tenant: on whose behalf; may be left out if the exchange has exactly one.
            entity: what it is about.

        Raises:
            TenantError: *tenant* is left out, and the exchange has none or several.
            UnrepresentableError: the payload has no JSON form.
        """
        tenant_id_ = self._only_tenant() if tenant is None else tenant_id(tenant)
        return self._sender.send(QueueName(queue), payload, tenant_id=tenant_id_, entity=entity)

    def tick(self, function_name: str, at: datetime | None = None) -> Sequence[TenantId]:
        """Fire a timer function, whatever its schedule says.

        Args:
            function_name: which.
            at: the time that the tick was scheduled for; now if not given. The same time is the same tick.

        Returns:
            The tenants that it was fanned out to.

        Raises:
            DeclarationError: there is no such function, or it is no timer.
        """
        function = self.exchange.function(function_name)
        if not isinstance(function.trigger, TimerTrigger):
            raise DeclarationError(
                f"function {function_name!r} is no timer: send({function.input_queue!r}, ...) starts it"
            )
        return self._fan_out.fan_out(function, self.clock.now() if at is None else at)

    def run(self, max_messages: int = 10_000) -> Sequence[Handled]:
        """Process until no queue that a function consumes has a message, jumping over waits.

        Args:
            max_messages: most deliveries; an exchange that sends itself messages never comes to rest.

        Returns:
            What became of each message that this run handled.

        Raises:
            RuntimeError: more deliveries than that; says which queues still have messages.
        """
        done = len(self.handled)
        left = max_messages
        queues = list(self.exchange.by_queue)
        while (due := self.queues.next_visible_at(queues)) is not None:
            if left == 0:
                raise RuntimeError(
                    f"exchange {self.exchange.name!r} was not at rest after {max_messages} messages: do its "
                    f"functions send to each other in a circle? Waiting: {dict(self.queues.depths())}"
                )
            self.clock.advance_to(max(due, self.clock.now()))
            for function in self.exchange.functions:
                left -= self._work_once(function, at_most=min(left, _BATCH))
        return self.handled[done:]

    def queue(self, name: str) -> list[Message]:
        """The messages in a queue, oldest first, delayed ones included.

        Raises:
            InvalidMessageError: there is one that is none.
        """
        return [decode(message.body) for message in self.queues.messages(QueueName(name))]

    def dead_letters(self, queue: str | None = None) -> list[tuple[Message | None, Failure]]:
        """The dead letters of a queue, or of all queues that functions consume, oldest first in each.

        Returns:
            Each message with its failure; None in place of a message for bytes that could not be read.
        """
        queues = list(self.exchange.by_queue) if queue is None else [QueueName(queue)]
        return [
            _opened(letter.body)
            for name in queues
            for letter in self.queues.messages(dead_letter_queue(name))
        ]

    def _work_once(self, function: Function, *, at_most: int) -> int:
        deliveries = self.queues.receive(function.input_queue, max_messages=at_most, visibility=_VISIBILITY)
        if deliveries:
            self.queues.settle(self._handler.handle(function, deliveries))
        return len(deliveries)

    def _only_tenant(self) -> TenantId:
        if len(self.exchange.tenants) != 1:
            raise TenantError(
                f"exchange {self.exchange.name!r} declares {len(self.exchange.tenants)} tenants: "
                "say tenant=... for which one"
            )
        return self.exchange.tenants[0]


def _opened(letter: bytes) -> tuple[Message | None, Failure]:
    failure = decode_failure(letter)
    if failure is None:
        raise InvalidMessageError(
            "a message in a dead-letter queue has no failure block: it was sent there by hand"
        )
    try:
        return decode(letter), failure
    except InvalidMessageError:
        return None, failure
