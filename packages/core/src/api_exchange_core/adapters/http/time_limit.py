"""A limit to all of an HTTP exchange: a server that sends a byte a second meets each of httpx's own timeouts."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

_CONNECTED: Final = ("connect_tcp.complete", "start_tls.complete")
"""Events of httpcore's trace extension that bring a stream: plain, and the same one encrypted."""


class TimeLimit:
    """When its time is over, it shuts the connection down that it is told of; whoever reads from that fails then.

    Args:
        time: from entering.
    """

    def __init__(self, time: timedelta) -> None:
        self._timer = threading.Timer(time.total_seconds(), self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._is_over = False
        self._connection: socket.socket | None = None

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()

    @property
    def is_over(self) -> bool:
        """Whether the time is."""
        return self._is_over

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """To be given to httpx as the extension ``trace`` of the request."""
        if event.endswith(_CONNECTED):
            with self._lock:
                self._connection = info["return_value"].get_extra_info("socket")
            if self._is_over:
                self._end()

    def _end(self) -> None:
        with self._lock:
            self._is_over = True
            connection = self._connection
        if connection is not None:
            with suppress(OSError):  # it has ended by itself
                # Not the method of an SSLSocket, which takes its state away from the thread that is reading.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
