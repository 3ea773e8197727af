"""The broker as its server sees it: connections come in, and there is work to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from typing_extensions import override

from api_exchange_core.ports.clock import Clock
from api_exchange_testing.servicebus.access import Door, Policy
from api_exchange_testing.servicebus.clock import ShiftedClock
from api_exchange_testing.servicebus.faults import Breakable, Planned
from api_exchange_testing.servicebus.management import Management
from api_exchange_testing.servicebus.model.namespace import Namespace
from api_exchange_testing.servicebus.wire.conversation import Conversation, Surroundings
from api_exchange_testing.servicebus.wire.deliveries import Deliveries
from api_exchange_testing.servicebus.wire.engine import Engine
from api_exchange_testing.servicebus.wire.server import Served, Server

_RESTING: Final = timedelta(minutes=1)


class Service(Served, Breakable):
    """Serves a namespace.

    Args:
        clock: the broker's time.

    Raises:
        OSError: the port is taken.
    """

    def __init__(
        self,
        namespace: Namespace,
        policies: Sequence[Policy],
        planned: Planned,
        *,
        clock: Clock,
        port: int,
        max_message_size: int,
    ) -> None:
        machine = ShiftedClock()
        self._namespace = namespace
        self._clock = clock
        self._machine = machine
        self._deliveries = Deliveries(machine, max_message_size=max_message_size)
        self._around = Surroundings(
            namespace,
            Management(namespace, max_message_size=max_message_size),
            self._deliveries,
            Door(policies),
            planned,
            max_message_size,
            machine.now,
        )
        self.server = Server(self, port=port)

    @override
    def connect(self) -> Engine:
        opened: list[Engine] = []

        def hang_up() -> None:
            self.server.drop(opened[0])

        opened.append(Engine(Conversation(self._around, hang_up)))
        return opened[0]

    @override
    def work(self) -> float:
        self._namespace.pass_time()
        self._deliveries.work()
        waits = [
            alarm - clock.now()
            for alarm, clock in (
                (self._namespace.next_alarm(), self._clock),
                (self._deliveries.next_alarm(), self._machine),
            )
            if alarm is not None
        ]
        return min([_RESTING, *waits]).total_seconds()

    @override
    def drop_connections(self) -> int:
        return self.server.drop_connections()

    @override
    def lose_locks(self, path: str | None) -> None:
        for queue in self._namespace if path is None else (self._namespace.receivable(path),):
            queue.lose_locks()
