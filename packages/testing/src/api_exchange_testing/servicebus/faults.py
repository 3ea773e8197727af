"""What goes wrong because a test says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError

T = TypeVar("T")

BUSY: Final = (
    "The request was terminated because the entity is being throttled. Error code : 50002."
    " Please wait 4 seconds and try again."
)


@dataclass(slots=True)
class Planned:
    """What is still to go wrong, counted down as it does.

    Attributes:
        refusals: sends and requests that are told the server is busy.
        lost_sends: sends that are carried out, and whose connection then ends without an answer.
        lost_settlements: settlements likewise.
    """

    refusals: int = 0
    lost_sends: int = 0
    lost_settlements: int = 0

    def refuse_if_planned(self) -> None:
        """Throttle, if that is planned.

        Raises:
            RefusedError: it is.
        """
        if self.refusals > 0:
            self.refusals -= 1
            raise RefusedError(Condition.SERVER_BUSY, BUSY)

    def loses_send(self) -> bool:
        """Whether the answer to a send is to be lost now."""
        self.lost_sends, lost = max(0, self.lost_sends - 1), self.lost_sends > 0
        return lost

    def loses_settlement(self) -> bool:
        """Whether the answer to a settlement is to be lost now."""
        self.lost_settlements, lost = max(0, self.lost_settlements - 1), self.lost_settlements > 0
        return lost


class Breakable(Protocol):
    """What faults happen to."""

    def drop_connections(self) -> int:
        """Close all connections without a word."""

    def lose_locks(self, path: str | None) -> None:
        """Let locks run out, of one entity or of all."""


class Faults:
    """Makes things go wrong: at once, or with the next messages that come.

    Args:
        call: calls a function on the thread that serves.
    """

    def __init__(
        self, planned: Planned, breakable: Breakable, call: Callable[[Callable[[], None]], None]
    ) -> None:
        self._planned = planned
        self._breakable = breakable
        self._call = call

    def throttle(self, count: int) -> None:
        """Answer the next *count* sends and requests with ``com.microsoft:server-busy``; 0 calls it off.

        Requests are what clients ask at ``$management``: renewals, peeks, schedules. Receiving is not throttled.
        """
        _check_count(count)
        self._call(lambda: setattr(self._planned, "refusals", count))

    def lose_answers(self, *, sends: int = 0, settlements: int = 0) -> None:
        """Carry out the next *sends* and *settlements*, then end the connection without an answer.

        What a client cannot tell from one that was not carried out: it sends again, and there are two.
        """
        _check_count(sends)
        _check_count(settlements)

        def plan() -> None:
            self._planned.lost_sends, self._planned.lost_settlements = sends, settlements

        self._call(plan)

    def drop_connections(self) -> None:
        """Close all connections without a word. Clients may connect again at once."""

        def drop() -> None:
            self._breakable.drop_connections()

        self._call(drop)

    def lose_locks(self, path: str | None = None) -> None:
        """Let locks run out at once, of messages and sessions: those of the entity at *path*, or all."""
        self._call(lambda: self._breakable.lose_locks(path))


def _check_count(count: int) -> None:
    if count < 0:
        raise ValueError(f"things go wrong a number of times, not {count}")
