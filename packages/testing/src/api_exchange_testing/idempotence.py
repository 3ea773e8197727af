"""Whether a processor bears at-least-once delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from api_exchange_core import Exchange, Message, ProcessorInterface
from api_exchange_core.domain.envelope import encode
from api_exchange_core.domain.names import MessageId, QueueName
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.observer import Handled, Outcome
from api_exchange_testing.harness import Harness

_INPUT: Final = QueueName("under-test")


@dataclass(frozen=True, slots=True)
class _Effects:
    """What is there after a message was processed."""

    entities: Mapping[str, Sequence[str]]
    """The content hash of each version, by entity."""
    messages: Mapping[str, Sequence[str]]
    """The envelopes in each queue."""
    files: Mapping[str, Sequence[str]]
    """The lines of each file."""


def assert_idempotent(
    processor: ProcessorInterface | type[ProcessorInterface],
    message: Message,
    *,
    volatile_fields: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Assert that processing *message* again changes nothing that processing it once did not.

    The processor runs in memory, as the whole framework runs it, three times:

    - with *message*;
    - with *message* again over an empty store, as when the process died just before its commit: entities, outputs
      and files come out the same. A processor that counts in memory, or puts the time or a random id into what it
      makes, is found here;
    - with the same payload in another message, as when the source says it twice: no entity gets a new version. A
      processor that puts the message's id or time into an entity's content is found here.

    Args:
        processor: the one under test; a class is instantiated once.
        message: what it is handed. It must be able to process it: a message that it refuses proves nothing.
        volatile_fields: as of the exchange, see `Exchange`.

    Raises:
        AssertionError: what differs; or the message was not processed, and why.
    """
    message = replace(message, attempt=1)  # any more would be counted against the retry policy
    exchange = Exchange("test", tenants=[message.tenant_id], volatile_fields=volatile_fields)
    exchange.queue("under-test", _INPUT, processor() if isinstance(processor, type) else processor)

    first = Harness(exchange)
    once = _effects_of(first, message)
    again = _effects_of(Harness(exchange), message)
    for part in fields(_Effects):
        _assert_same(part.name, getattr(once, part.name), getattr(again, part.name))
    twin = replace(message, id=_twin_id(message))
    _assert_no_new_version(once.entities, _effects_of(first, twin).entities)


def _twin_id(message: Message) -> MessageId:
    return MessageId("the-same-again" if message.id != "the-same-again" else "and-again")


def _effects_of(harness: Harness, message: Message) -> _Effects:
    harness.queues.publish(
        [Outgoing(queue=_INPUT, tenant_id=message.tenant_id, message_id=message.id, body=encode(message))]
    )
    for handled in harness.run():
        _assert_completed(handled)
    rows = harness.store.of(message.tenant_id).entities
    return _Effects(
        entities={
            f"{rows.heads[id_].key.canonical_type} {rows.heads[id_].key.external_id!r}": [
                version.content_hash for version in versions
            ]
            for id_, versions in rows.versions.items()
        },
        messages={
            queue: [queued.body.decode() for queued in harness.queues.messages(queue)]
            for queue in harness.queues.depths()
        },
        files={
            name: [line.decode() for line in harness.files.lines(message.tenant_id, name)]
            for name in harness.files.names(message.tenant_id)
        },
    )


def _assert_completed(handled: Handled) -> None:
    problem = handled.problem
    if handled.outcome is not Outcome.COMPLETED:
        raise AssertionError(
            f"the message was not processed, so nothing is known: {handled.outcome}"
            + (f", {problem.code}: {problem.reason}" if problem is not None else "")
        )


def _assert_same(part: str, once: Mapping[str, Sequence[str]], again: Mapping[str, Sequence[str]]) -> None:
    differing = [
        f"  {name}\n    first: {once.get(name)}\n    again: {again.get(name)}"
        for name in sorted({*once, *again})
        if once.get(name) != again.get(name)
    ]
    if differing:
        raise AssertionError(
            "\n".join(
                [
                    f"not idempotent: the same message processed again over an empty store makes other {part}",
                    *differing,
                ]
            )
        )


def _assert_no_new_version(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> None:
    changed = sorted(name for name, versions in after.items() if versions != before.get(name))
    if changed:
        raise AssertionError(
            "not idempotent: the same payload in another message makes new versions of "
            f"{', '.join(changed)}. Leave out of the entity's data what belongs to the message (its id, its time), or "
            "name such a field in Exchange(volatile_fields=...)"
        )
