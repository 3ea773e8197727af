"""What holds of every exchange, whatever went wrong on the way to rest."""

from __future__ import annotations

from collections.abc import Iterator

from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.errors import InvalidMessageError
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId, QueueName, TenantId, dead_letter_queue
from api_exchange_testing.simulation.world import World


def broken(world: World) -> Iterator[str]:
    """What is broken, each as a sentence; nothing if all is well."""
    yield from world.ledger.wrong
    yield from world.leases.wrong
    yield from world.token_watch.wrong
    yield from _lost(world)
    yield from _unsent(world)
    yield from _left(world)
    yield from _gaps(world)


def _lost(world: World) -> Iterator[str]:
    """Every message that a queue took was processed, is a dead letter, or lies where nobody consumes."""
    consumers = {queue: function.name for queue, function in world.exchange.by_queue.items()}
    for queue, sent in world.ledger.sent.items():
        function = consumers.get(queue)
        if function is None:
            continue
        ids = {(one.tenant_id, MessageId(one.message_id)) for one in sent}
        missing = [one for one in sorted(ids) if not world.ledger.completions[one[0], function, one[1]]]
        if missing:
            still_there = _ids_in(world, queue) | _ids_in(world, dead_letter_queue(queue))
            for tenant_id, message_id in missing:
                if (tenant_id, message_id) not in still_there:
                    yield f"a message lost: {message_id} of {tenant_id}, sent to {queue}"


def _unsent(world: World) -> Iterator[str]:
    """Every output that was committed was sent."""
    sent = {
        (queue, one.tenant_id, one.message_id) for queue, all_ in world.ledger.sent.items() for one in all_
    }
    for queue, tenant_id, message_id in sorted(world.ledger.promised - sent):
        yield f"an output lost: {message_id} of {tenant_id} was committed for {queue} and never sent"


def _left(world: World) -> Iterator[str]:
    """Nothing waits in the outbox."""
    left = world.store.relay_source.pending()
    if left:
        yield f"left in the outbox: {left} rows that nobody has carried out"


def _gaps(world: World) -> Iterator[str]:
    """The versions of an entity count from one without gap or twin, and the head is the last."""
    for tenant_id in world.tenant_ids:
        rows = world.store.of(tenant_id).entities
        for entity_id, head in rows.heads.items():
            numbers = [version.version for version in rows.versions.get(entity_id, ())]
            if numbers != list(range(1, head.version + 1)):
                yield f"versions of entity {entity_id} of {tenant_id} are {numbers}, and its head is {head.version}"


def _ids_in(world: World, queue: QueueName) -> set[tuple[TenantId, MessageId]]:
    found = set()
    for queued in world.queues.messages(queue):
        try:
            found.add(_identity(decode(queued.body)))
        except InvalidMessageError:
            continue  # bytes that are no message have no id to miss
    return found


def _identity(message: Message) -> tuple[TenantId, MessageId]:
    return message.tenant_id, message.id
