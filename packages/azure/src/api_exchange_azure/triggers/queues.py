"""Messages that the Functions host has received."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic

from api_exchange_azure.triggers.copies import Copies, OneArrived
from api_exchange_azure.triggers.time_left import TimeLeft
from api_exchange_core.adapters.claim_check.queues import ClaimCheck
from api_exchange_core.application.processor_handler import GIVEN_BACK, ProcessorHandler
from api_exchange_core.domain.delivery import DeadLetter, Defer, Delivery, Disposition, Retry
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.local.heartbeat import Heartbeat, LeaseKeeper
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.sleeper import Sleeper

LONGEST_STAY: Final = timedelta(seconds=30)
"""How long a message that keeps order is held by its function before it is given back; a waiting function is paid."""

_LEFT: Final = Defer(timedelta(minutes=1))
"""How a message ends that its handler has settled in no way: its claim, or its lease, decides when it comes again."""


@dataclass(frozen=True, slots=True)
class QueueTrigger(Generic[OneArrived]):
    """Handles what a queue has handed to a function.

    The worker can settle nothing. Once a function returns, the host completes all that it was given; if it raises, all
    of it comes again, counted. So what is to come again later, or is dead, is sent anew before this returns, and what
    cannot be sent anew is an error.

    A message that keeps order must not be sent anew behind those that wait for it. It is held for its wait, up to
    `LONGEST_STAY`, and then raises alone: the broker hands it out before the others of its session.

    Args:
        copies: send anew.
        handler: runs processors.
        heartbeat: renews leases of exclusive functions; the host renews locks of messages.
        claims: contents that are kept apart from their messages; None if nowhere is a place for them.
        sleeper: waits.
        observer: hears what went wrong.
    """

    copies: Copies[OneArrived]
    handler: ProcessorHandler
    heartbeat: Heartbeat
    claims: ClaimCheck | None
    sleeper: Sleeper
    observer: Observer

    def handle(self, function: Function, arrived: Sequence[OneArrived], time_left: TimeLeft) -> None:
        """Handle the messages of one invocation.

        Raises:
            TransientError: they are to come again, all of them; those that were done are duplicates then.
            PermanentError: a copy or a letter could not be sent for good. They come again until somebody mends that,
                or the broker puts them aside.
        """
        ends = self._ends(function, [self._whole(one.delivery) for one in arrived], time_left)
        anew: list[tuple[OneArrived, Disposition]] = []
        stay: timedelta | None = None
        for one in arrived:
            match ends.get(one.delivery.receipt, _LEFT):
                case Retry(after) | Defer(after) if one.keeps_order:
                    stay = after
                case DeadLetter() as dead:
                    anew.append((one, self._fitting(dead)))
                case end:
                    anew.append((one, end))
        self.copies.send(anew)
        if stay is not None:
            self._stay(function, stay, time_left)

    def _ends(
        self, function: Function, deliveries: Sequence[Delivery], time_left: TimeLeft
    ) -> dict[str, Disposition]:
        if time_left.is_short():
            self.observer.event("batch.given_back", function=function.name, count=len(deliveries))
            return {one.receipt: GIVEN_BACK for one in deliveries}
        settlements = self.handler.handle(
            function,
            deliveries,
            stop=time_left.is_short,
            keeper=LeaseKeeper(self.heartbeat, time_left.until_reserve),
            deadline=time_left.deadline,
        )
        return {one.delivery.receipt: one.disposition for one in settlements}

    def _whole(self, delivery: Delivery) -> Delivery:
        return delivery if self.claims is None else self.claims.redeemed(delivery)

    def _fitting(self, dead: DeadLetter) -> DeadLetter:
        return dead if self.claims is None else self.claims.fitting(dead)

    def _stay(self, function: Function, wait: timedelta, time_left: TimeLeft) -> None:
        stay = min(wait, LONGEST_STAY, time_left.until_reserve)
        if stay > timedelta(0):
            self.sleeper.sleep(stay)
        raise TransientError(
            f"function {function.name!r}: a message of a session is to be tried again before those behind it"
        )
