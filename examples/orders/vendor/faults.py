"""What goes wrong at the shop, on demand: the faults that a client of any API must outlast."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from threading import Lock

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override


class Fault(StrEnum):
    """One thing that goes wrong with one request for a page of orders."""

    THROTTLE = "throttle"
    """429, with a ``Retry-After``."""
    FAIL = "fail"
    """500."""
    DROP = "drop"
    """The connection ends in the middle of the page."""
    SLOW = "slow"
    """The page comes late."""
    REVOKE = "revoke"
    """All tokens of the account are taken back before the request is looked at."""
    LOOP = "loop"
    """The page names itself as the next one; the first page has no name, and is as it should be."""


class Faults:
    """The faults of the requests to come.

    Args:
        retry_after: what a throttled request is told, in whole seconds.
        slow: how late a slow page is.
    """

    def __init__(
        self, *, retry_after: timedelta = timedelta(seconds=1), slow: timedelta = timedelta(seconds=1)
    ) -> None:
        self.retry_after = retry_after
        self.slow = slow
        self._to_come: deque[Fault | None] = deque()
        self._happened: Counter[Fault] = Counter()
        self._lock = Lock()

    def plan(self, faults: Iterable[Fault | None]) -> None:
        """Let the next requests for orders meet *faults*, one each and in their order; None lets one pass."""
        with self._lock:
            self._to_come.extend(faults)

    def take(self) -> Fault | None:
        """The fault of the request at hand."""
        with self._lock:
            fault = self._to_come.popleft() if self._to_come else None
            if fault is not None:
                self._happened[fault] += 1
            return fault

    @property
    def happened(self) -> dict[Fault, int]:
        """How often each fault has been met."""
        with self._lock:
            return dict(self._happened)


class Dropped(Response):
    """An answer of which half is sent before the connection ends."""

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        # Returning without the rest makes the server close the connection, and complain.
