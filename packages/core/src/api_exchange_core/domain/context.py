"""What a processor is handed beside the message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from api_exchange_core.domain.checkpoint_desk import CheckpointDesk, CheckpointHandle
from api_exchange_core.domain.deadline import NO_DEADLINE, Deadline
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.intentions import Intentions, PersistedEntity
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import FunctionName, TenantId
from api_exchange_core.domain.source import Source
from api_exchange_core.domain.source_name import source_name
from api_exchange_core.domain.tenant_config import Model, config_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorContext:
    """The call that is running: for whom, in which function, which attempt; and the way to persist entities.

    Args:
        tenant_id: on whose behalf.
        function: name of the function.
        correlation_id: the same for all messages of one request.
        attempt: counts from 1.
        now: when the call began, aware UTC; the same for the whole call.
        intentions: what the call wants recorded.
        deadline: when the call must have come to its end; what takes longer goes on in another message.
        tenant_config: the values that are set for the tenant; `config_as` reads them.
        desk: where the tenant's checkpoints are; None in a context that a test made without a store.
    """

    tenant_id: TenantId
    function: FunctionName
    correlation_id: str
    attempt: int
    now: datetime
    intentions: Intentions
    deadline: Deadline = NO_DEADLINE
    tenant_config: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    desk: CheckpointDesk | None = field(default=None, repr=False)

    def config_as(self, model: type[Model]) -> Model:
        """The tenant's configuration as an instance of *model*, with the model's defaults for what is not set.

        Raises:
            DeferError: the values do not fit; the message waits until an operator has set them right. A model that
                the exchange declares (``Exchange(tenant_config=...)``) is checked before any call.
        """
        return config_of(self.tenant_id, self.tenant_config, model)

    def persist_entity(
        self,
        *,
        external_id: str | int,
        canonical_type: str,
        source: str,
        data: object,
        expected_version: int | None = None,
        source_version: int | None = None,
        forward_unchanged: bool = False,
    ) -> PersistedEntity:
        """Record an entity's content as it is now; what is new goes on to the outputs.

        The same content again makes no version and is not forwarded. Nothing is written before the processor has
        returned; then entity, version, outputs and the message's completion are committed together.

        Args:
            external_id: the id that the source gave it.
            canonical_type: what it is, such as ``customer_order``.
            source: where it is from, such as ``external_api``.
            data: its content: a mapping, a pydantic model, or other JSON. It is forwarded in canonical form and
                never stored with the entity.
            expected_version: write only on top of this version (0: only if new), else the outcome is conflict.
            source_version: the source's own counter; not newer than the last one makes the outcome stale.
            forward_unchanged: send it to the outputs even if nothing has changed.

        Returns:
            The entity's id, a `str`, which also knows outcome, version and reference.

        Raises:
            UnrepresentableError: the data has no JSON form, or a part of the key cannot be stored.
        """
        return self.intentions.persist(
            external_id=str(external_id) if isinstance(external_id, int) else external_id,
            canonical_type=canonical_type,
            source=source,
            data=data,
            expected_version=expected_version,
            source_version=source_version,
            forward_unchanged=forward_unchanged,
        )

    def source(
        self,
        name: str,
        *,
        lease: timedelta = timedelta(minutes=10),
        pages_per_message: int = 1,
        margin: timedelta = timedelta(seconds=30),
    ) -> Source:
        """A source to extract page by page, each page exactly once, by one message at a time.

            for page in context.source("orders").pages(self.fetch):
                for order in page:
                    context.persist_entity(...)

        Args:
            name: 1 to 128 printable characters without ``@``; a tenant has one checkpoint for it.
            lease: how long a run that does not go on is left alone, before a message that begins runs (a tick, say)
                takes it over where it stands. Longer than a page and its retries take; 10 seconds to 7 days.
            pages_per_message: how many pages are taken in one transaction, if the time allows.
            margin: no further page is begun when less than this is left before the deadline.

        Raises:
            DeclarationError: a value out of range.
        """
        return Source(
            name=name,
            function=self.function,
            desk=self._desk,
            intentions=self.intentions,
            deadline=self.deadline,
            lease=lease,
            pages_per_message=pages_per_message,
            margin=margin,
        )

    def checkpoint(self, name: str) -> CheckpointHandle:
        """The checkpoint of a source, read now, for a processor that keeps its place itself.

        Nobody keeps others from extracting the same source at the same time, as `source` does; of two that save, the
        second is called again.

        Args:
            name: 1 to 128 printable characters without ``@``.

        Raises:
            DeclarationError: it names no source.
            TransientError: the store could not be reached.
        """
        desk = self._desk
        return CheckpointHandle(name, desk.read(source_name(name)), self.intentions, desk.now)

    @property
    def _desk(self) -> CheckpointDesk:
        if self.desk is None:
            raise DeclarationError("this context has no checkpoints: run the processor in a `Harness`")
        return self.desk
