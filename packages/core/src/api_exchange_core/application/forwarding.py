"""What the output handlers of a call forward, as effects for the outbox."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic_core import to_json

from api_exchange_core.application.call import Call
from api_exchange_core.domain.checkpoint import MARKS
from api_exchange_core.domain.entity import EntityReference, Persisted
from api_exchange_core.domain.envelope import encode, encode_with_data
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.identity import derived_message_id
from api_exchange_core.domain.intentions import HandOn
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId
from api_exchange_core.domain.output import (
    FileOutputHandler,
    NoOutputHandler,
    OutputHandler,
    QueueOutputHandler,
)
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.outbox import OutgoingLine


@dataclass(frozen=True, slots=True)
class _Output:
    """What a child carries, whichever handler sends it."""

    data: bytes
    entity: EntityReference | None
    type: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Makes the children of a message.

    Args:
        exchange: the application's name; with the function it is the children's source.
    """

    exchange: str

    def effects(self, call: Call, persisted: Sequence[Persisted]) -> list[Outgoing | OutgoingLine]:
        """What is to be sent after the commit: messages that go on with runs of sources, and what handlers send.

        A child's id follows from its parent's, the function, and its place among the outputs, so that a message
        that is sent twice has the same id both times.

        Args:
            call: one that succeeded.
            persisted: what came of its changes, in their order.

        Raises:
            InvalidMessageError: a child is too large.
        """
        result = call.succeeded_with
        outputs = list(_outputs(call, persisted)) if result.output_handlers else []
        handed_on: list[Outgoing | OutgoingLine] = [
            self._handed_on(call, one) for one in call.intentions.hand_ons
        ]
        return handed_on + [
            effect
            for place, handler in enumerate(result.output_handlers)
            for number, output in enumerate(outputs)
            if (effect := self._effect(call, handler, output, f"{place}.{number}")) is not None
        ]

    def _handed_on(self, call: Call, onward: HandOn) -> Outgoing:
        function, parent = call.function, call.incoming.as_received
        message = replace(
            parent,
            id=onward.id,
            source=f"/{self.exchange}/{function.name}",
            time=call.started_at,
            causation_id=parent.id,
            attempt=1,
            replays=0,
            metadata={**parent.metadata, **onward.assignment.metadata},
            trace=call.trace.context,
        )
        return Outgoing(
            queue=function.input_queue,
            tenant_id=message.tenant_id,
            message_id=message.id,
            body=encode(message),
        )

    def _effect(
        self, call: Call, handler: OutputHandler, output: _Output, place: str
    ) -> Outgoing | OutgoingLine | None:
        match handler:
            case QueueOutputHandler():
                child = self._child(call, output, place)
                return Outgoing(
                    queue=handler.queue,
                    tenant_id=child.tenant_id,
                    message_id=child.id,
                    body=encode_with_data(child, output.data),
                    delay=handler.delay,
                    ordering_key=handler.ordering_key,
                    properties=handler.properties,
                )
            case FileOutputHandler():
                child = self._child(call, output, place)
                line = encode_with_data(child, output.data)
                return OutgoingLine(tenant_id=child.tenant_id, name=handler.name, line=line)
            case NoOutputHandler():
                return None
            case _:
                raise PermanentError(
                    f"function {call.function.name!r}: {type(handler).__name__} is no known output handler"
                )

    def _child(self, call: Call, output: _Output, place: str) -> Message:
        parent = call.message
        return Message(
            id=MessageId(derived_message_id(parent.id, call.function.name, place)),
            tenant_id=parent.tenant_id,
            source=f"/{self.exchange}/{call.function.name}",
            type=output.type,
            time=call.started_at,
            correlation_id=parent.correlation_id,
            causation_id=parent.id,
            entity=output.entity,
            metadata=_unmarked({**parent.metadata, **output.metadata}),
            payload=None,
            trace=call.trace.context,
        )


def _unmarked(metadata: Mapping[str, str]) -> Mapping[str, str]:
    return {name: text for name, text in metadata.items() if name not in MARKS}


def _outputs(call: Call, persisted: Sequence[Persisted]) -> Iterator[_Output]:
    """The result's own messages; else one for each entity that this call persisted; else what came in.

    What starts the extraction of a source never goes on to those who wait for its records.
    """
    message = call.message
    result = call.succeeded_with
    if result.output_messages:
        for own in result.output_messages:
            entity = message.entity if own.entity is None else own.entity
            kind = message.type if own.type is None else own.type
            yield _Output(to_json(own.payload), entity, kind, own.metadata)
    elif persisted or call.intentions.extracts:  # of a page without records nothing goes on
        for one in persisted:
            if one.is_forwarded:
                yield _Output(one.change.content, one.reference, one.change.key.canonical_type)
    else:
        # As it was received: the processor may have changed the payload that it was handed.
        yield _Output(to_json(call.incoming.payload_as_received), message.entity, message.type)
