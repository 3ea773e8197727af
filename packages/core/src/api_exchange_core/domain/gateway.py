"""A gateway that needs no code: it sends messages where declared rules say."""

from __future__ import annotations

from typing_extensions import override

from api_exchange_core.domain.context import ProcessorContext
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import QueueName
from api_exchange_core.domain.operation import operation
from api_exchange_core.domain.output import QueueOutputHandler
from api_exchange_core.domain.processor import ProcessorInterface
from api_exchange_core.domain.result import ProcessingResult
from api_exchange_core.domain.rules import Routing


class GatewayProcessor(ProcessorInterface):
    """Forwards each message, unchanged, to the queues that a routing finds for its payload.

        gateway = GatewayProcessor(Routing([Rule(field("total") > 1000, to="fraud-check")], default="orders"))
        exchange.queue("route-orders", "orders-canonical", gateway, sends_to=gateway.sends_to)

    Args:
        routing: the rules. Written down as data, they come from `Routing.parse`.

    Raises:
        DeclarationError: *routing* is no `Routing`.
    """

    def __init__(self, routing: Routing) -> None:
        self.routing = _routing(routing)

    @property
    def sends_to(self) -> tuple[QueueName, ...]:
        """Every queue that a message can go to, for the topology."""
        return self.routing.queues

    @override
    @operation("route.by_rules")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        """Name the message's destinations, at least one.

        Raises:
            UnroutableError: no rule takes the message and the default is `FAIL`; it is dead-lettered.
        """
        result = ProcessingResult.create_success()
        for queue in self.routing.destinations(message.payload):
            result.add_output_handler(QueueOutputHandler(queue))
        return result


def _routing(routing: object) -> Routing:
    if not isinstance(routing, Routing):
        raise DeclarationError(f"a gateway is made from a Routing(rules, default=...), not {routing!r}")
    return routing
