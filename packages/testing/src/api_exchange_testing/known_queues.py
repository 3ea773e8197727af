"""Which queues an exchange has, so that a test that looks into a misspelt one does not find it empty."""

from __future__ import annotations

from difflib import get_close_matches

from api_exchange_core import DeclarationError, Exchange
from api_exchange_core.application.topology import Topology
from api_exchange_core.domain.names import dead_letter_queue
from api_exchange_testing.memory.queue import InMemoryQueue


def check_known(name: str, exchange: Exchange, queues: InMemoryQueue) -> None:
    """Return if *name* is a queue of *exchange*: one that a function consumes or may send to, or its dead letters'.

    Args:
        name: of the queue.
        exchange: the application.
        queues: whatever was sent to these is known as well.

    Raises:
        DeclarationError: it is none; names those that are.
    """
    consumed = {name for queue in exchange.by_queue for name in (queue, dead_letter_queue(queue))}
    met = {*consumed, *queues.names}
    if name in met:
        return
    known = sorted({*met, *_sent_to(exchange)})
    if name in known:
        return
    near = get_close_matches(name, known, n=1)
    raise DeclarationError(
        f"queue {name!r}: nothing was ever sent to it, and no function of exchange {exchange.name!r} consumes it or is "
        f"known to send to it. {f'Did you mean {near[0]!r}? ' if near else ''}Known: {', '.join(known)}. "
        "A function whose queues are known only when it runs can name them where it is declared: sends_to=[...]"
    )


def _sent_to(exchange: Exchange) -> frozenset[str]:
    """The queues that functions are known to send to, without having run."""
    from api_exchange_core.cli.source.sent_queues import (
        sent_queues,  # reads source code: only if it has to be
    )

    return frozenset(Topology.of(exchange, read=sent_queues).senders)
