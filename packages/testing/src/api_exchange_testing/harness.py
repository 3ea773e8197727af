"""A whole exchange in memory, on a clock that jumps."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import cast

from api_exchange_core import DeclarationError, EntityReference, Exchange, Function, Message
from api_exchange_core.application.administer_credentials import KeepCredentials
from api_exchange_core.application.administer_tenants import ConfigureTenant
from api_exchange_core.application.entity_service import EntityService
from api_exchange_core.application.held_messages import HeldMessages
from api_exchange_core.application.processor_handler import ProcessorHandler
from api_exchange_core.application.send_message import SendMessage
from api_exchange_core.application.tick import FanOutTick
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.entity import EntityHead, EntityVersion
from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.names import QueueName, TenantId, tenant_id
from api_exchange_core.domain.trigger import TimerTrigger
from api_exchange_core.ports.journal import ProcessingState
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.observer import Handled
from api_exchange_core.ports.outbox import OutgoingLine
from api_exchange_testing.container import START as START
from api_exchange_testing.container import InMemoryContainer, lent_container
from api_exchange_testing.declared_tenant import declared_tenant
from api_exchange_testing.given_credentials import give_credentials
from api_exchange_testing.known_queues import check_known
from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.memory.observer import Event, RecordingObserver
from api_exchange_testing.memory.profile import PORTABLE, Profile
from api_exchange_testing.memory.queue import QueuedMessage
from api_exchange_testing.queued_letters import queued_letters

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
        profile: of the platform whose queues it is to run on: `SQS`, `SERVICE_BUS` or `STORAGE_QUEUE`.
        container: to run on in place of one of its own: that of `in_memory_container(exchange)`, with adapters
            overridden by those under test. It decides on clock, hasher, seed and profile.

    Attributes:
        clock: to read the time, or to let some pass between runs.
        entities: the entity service; use it within `tenant_context`.
        held: messages of exclusive functions that wait for an operator, to release them or to give them up.
        files: what `FileOutputHandler` wrote.
        tenants: the directory, to disable a tenant or to add one.
        queues: the transport, to publish bytes or to look at messages as they are queued.
        store: what was committed, for units of work of one's own.
        observer: what was told to the observer, from which logs and metrics are made elsewhere; `handled`, `counts`
            and `events` are views of it.

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
        profile: Profile = PORTABLE,
        container: InMemoryContainer | None = None,
    ) -> None:
        for function in exchange.functions:
            function.processor  # noqa: B018 - made here, so that a wrong declaration stops the start
        self.exchange = exchange
        if container is not None:
            self._take_from(container)
        else:
            with lent_container(
                exchange, clock=clock, observer=RecordingObserver(), profile=profile, seed=seed, hasher=hasher
            ) as lent:
                self._take_from(lent)
        for tenant, values in (tenant_config or {}).items():
            self.configure(tenant, values)

    def _take_from(self, container: InMemoryContainer) -> None:
        self.observer: RecordingObserver = cast("RecordingObserver", container.observer())
        self.clock = container.clock()
        self.queues = container.queue()
        self.store = container.store()
        self.files = container.files()
        self.tenants = container.tenants()
        self.entities: EntityService = container.use_cases.entity_service()
        self.held: HeldMessages = container.operations.held_messages()
        self._keep: KeepCredentials = container.operations.keep_credentials()
        self._outbox = container.outbox()
        self._handler: ProcessorHandler = container.use_cases.handler()
        self._fan_out: FanOutTick = container.use_cases.fan_out()
        self._sender: SendMessage = container.use_cases.sender()
        self._chores = container.use_cases.chores()
        self._do_chore = container.use_cases.do_chore()
        # Tests make many: no event loop outlives its harness.
        weakref.finalize(self, container.use_cases.calls().close)

    @property
    def handled(self) -> list[Handled]:
        """What became of each message that was handled, in order."""
        return self.observer.summaries

    @property
    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """How often each function's messages ended how: ``{"to-canonical": {"retry": 1, "completed": 1}}``."""
        counts: dict[str, Counter[str]] = {}
        for handled in self.handled:
            counts.setdefault(handled.function, Counter())[handled.outcome] += 1
        return counts

    @property
    def outbox(self) -> list[Outgoing | OutgoingLine]:
        """What was committed and not carried out: what can never be sent stays here, with an event ``outbox.stuck``."""
        return [row.effect for row in self._outbox.waiting()]

    def events(self, name: str | None = None) -> list[Event]:
        """What was told to the observer besides messages that were handled, of one name or all."""
        return [event for event in self.observer.events if name in {None, event.name}]

    def entity(
        self, canonical_type: str, external_id: str, *, tenant: str | None = None, source: str | None = None
    ) -> EntityHead | None:
        """An entity as it is now; None if there is none.

        Args:
            canonical_type: of the entity.
            external_id: the id that its source gave it.
            tenant: whose; may be left out if the exchange has exactly one.
            source: where it is from; may be left out unless entities of several sources are called so.

        Raises:
            TenantError: *tenant* is left out, and the exchange has none or several.
            LookupError: *source* is left out, and there are several.
        """
        wanted = (canonical_type, external_id)
        heads = [
            head
            for head in self.store.of(self._tenant(tenant)).entities.heads.values()
            if (head.key.canonical_type, head.key.external_id) == wanted and source in {None, head.key.source}
        ]
        if len(heads) > 1:
            sources = sorted(head.key.source for head in heads)
            raise LookupError(
                f"several entities are a {canonical_type!r} {external_id!r}: say source=..., one of {sources}"
            )
        return heads[0] if heads else None

    def versions(
        self, canonical_type: str, external_id: str, *, tenant: str | None = None, source: str | None = None
    ) -> Sequence[EntityVersion]:
        """The history of an entity, oldest first; empty if there is none. Arguments and errors as of `entity`."""
        head = self.entity(canonical_type, external_id, tenant=tenant, source=source)
        return () if head is None else self.store.of(head.key.tenant_id).entities.versions[head.id]

    def configure(self, tenant: str, values: Mapping[str, object]) -> None:
        """Set all of a tenant's configuration; processors read it once the gate has forgotten the old one.

        Raises:
            TenantError: there is no such tenant.
            DeclarationError: the exchange declares no configuration.
            InvalidPayloadError: the values do not fit.
        """
        ConfigureTenant(self.tenants, self.exchange.tenant_config).replace(tenant_id(tenant), values)

    def set_credentials(
        self, system: str, credentials: Mapping[str, object] | bytes, *, tenant: str | None = None
    ) -> None:
        """Set a tenant's credentials at a system; what has read others before keeps to them for half a minute.

        Args:
            system: as `ApiCredentials` names it.
            credentials: the fields of its model, or the bytes as they are.
            tenant: whose; may be left out if the exchange has exactly one.

        Raises:
            TenantError: there is no such tenant; or *tenant* is left out, and the exchange has none or several.
            DeclarationError: *system* is no name.
        """
        give_credentials(self._keep, self._tenant(tenant), system, credentials)

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
        return self._sender.send(QueueName(queue), payload, tenant_id=self._tenant(tenant), entity=entity)

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
        """Process and relay until nothing is left that time or work would change, jumping over waits.

        Messages that are held for an operator are left alone, and so are rows of the outbox that can never be sent.

        Args:
            max_messages: most deliveries; an exchange that sends itself messages never comes to rest.

        Returns:
            What became of each message that this run handled.

        Raises:
            RuntimeError: more deliveries than that; says which queues still have messages.
        """
        done = len(self.handled)
        left = max_messages
        while (due := self._next_due()) is not None:
            if left <= 0:
                raise RuntimeError(
                    f"exchange {self.exchange.name!r} was not at rest after {max_messages} messages: do its "
                    f"functions send to each other in a circle? Waiting: {dict(self.queues.depths())}"
                )
            self.clock.advance_to(max(due, self.clock.now()))
            for function in self.exchange.functions:
                left -= self._work_once(function, at_most=min(left, _BATCH))
            left -= self._relay()
        return self.handled[done:]

    def queue(self, name: str) -> list[Message]:
        """The messages in a queue, oldest first, delayed ones included.

        Raises:
            DeclarationError: nothing was ever sent to it, and no function consumes it or is known to send to it.
            InvalidMessageError: there is one that is none.
        """
        check_known(name, self.exchange, self.queues)
        return [decode(message.body) for message in self.queues.messages(QueueName(name))]

    def dead_letters(self, queue: str | None = None) -> list[tuple[Message | None, Failure]]:
        """The dead letters of a queue, or of all queues that functions consume, oldest first in each.

        Returns:
            Each message with its failure; None in place of a message for bytes that could not be read.

        Raises:
            DeclarationError: as of `queue`.
        """
        if queue is not None:
            check_known(queue, self.exchange, self.queues)
        queues = list(self.exchange.by_queue) if queue is None else [QueueName(queue)]
        return queued_letters(self.queues, queues)

    def _next_due(self) -> datetime | None:
        queues = list(self.exchange.by_queue)
        due = [
            self.queues.next_visible_at(queues, without=self._is_held),
            self._outbox.next_due_at(stuck=False),
        ]
        return min((at for at in due if at is not None), default=None)

    def _is_held(self, message: QueuedMessage) -> bool:
        sent = message.outgoing
        function = self.exchange.by_queue[sent.queue]
        entry = self.store.of(sent.tenant_id).journal.get((function.name, sent.message_id))
        return entry is not None and entry.state is ProcessingState.HELD

    def _relay(self) -> int:
        """Do the framework's own work, if any is due; how many rounds that took."""
        due = self._outbox.next_due_at(stuck=False)
        if due is None or due > self.clock.now():
            return 0
        for chore in self._chores:
            self._do_chore.do(chore)
        return 1

    def _work_once(self, function: Function, *, at_most: int) -> int:
        deliveries = self.queues.receive(function.input_queue, max_messages=at_most, visibility=_VISIBILITY)
        if deliveries:
            self.queues.settle(self._handler.handle(function, deliveries))
        return len(deliveries)

    def _tenant(self, named: str | None) -> TenantId:
        return declared_tenant(self.exchange, named)
