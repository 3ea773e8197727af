"""Serving HTTP in a thread of this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api_exchange_core.application.accept_request import AcceptRequest
from api_exchange_core.application.call import stack_of
from api_exchange_core.domain.errors import DeclarationError, TransientError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.local.bell import Bell
from api_exchange_core.ports.observer import Observer

if TYPE_CHECKING:
    import uvicorn

    from api_exchange_core.local.management import Page

_START_SECONDS = 10.0
_KEEP_ALIVE_SECONDS = 5
_MOST_CONNECTIONS = 500
"""Beyond it requests are answered 503; a process may usually open 1,024 files."""
_LARGEST_HEAD = 32 * 1024
"""Bytes of a request's line and headers."""


@dataclass(slots=True)
class HttpServer:
    """uvicorn on one address.

    Args:
        functions: those with an HTTP trigger.
        accept: takes in their requests.
        bell: rung when a request was stored.
        observer: hears of requests that failed because of an error of ours.
        unready: why this process should be handed no work for now.
        page: the metrics, if any are collected.
        host: address to bind.
        port: 0 picks a free one; `port` tells which once started.
        on_end: told why, from the server's thread, when it ended without having been stopped.
    """

    functions: Sequence[Function]
    accept: AcceptRequest
    bell: Bell
    observer: Observer
    unready: Callable[[], Sequence[str]]
    page: Page | None
    host: str
    port: int
    on_end: Callable[[str], None]
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None
    _stopping: bool = False

    def start(self) -> None:
        """Bind, and serve from a thread.

        Raises:
            DeclarationError: the address cannot be bound.
            TransientError: the server did not come up.
        """
        import uvicorn

        from api_exchange_core.local.http_app import http_app
        from api_exchange_core.local.management import Management

        listener = self._bound()
        app = http_app(
            self.functions,
            self.accept,
            bell=self.bell,
            observer=self.observer,
            management=Management(self.unready, self.page).routes(),
        )
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="critical",  # its error lines would hold the texts of anybody's errors; the observer is told
            access_log=False,
            lifespan="off",
            server_header=False,
            limit_concurrency=_MOST_CONNECTIONS,
            h11_max_incomplete_event_size=_LARGEST_HEAD,
            http="h11",  # whatever else is installed: httptools knows no limit of a request's head
            ws="none",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_KEEP_ALIVE_SECONDS,
        )
        server = self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, args=(server, listener), name="http", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise TransientError(f"the HTTP server on {self.host}:{self.port} did not come up")
            time.sleep(0.005)

    def stop(self) -> None:
        """Finish the requests in hand and end."""
        if self._server is not None and self._thread is not None:
            self._stopping = True
            self._server.should_exit = True
            self._thread.join(2 * _KEEP_ALIVE_SECONDS)

    def _serve(self, server: uvicorn.Server, listener: socket.socket) -> None:
        reason = "it returned, and nobody had stopped it"
        try:
            server.run([listener])
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the last frame we own: it is told below
            reason = f"{type(error).__name__}\n{stack_of(error)}"
        if server.started and not self._stopping:
            self.on_end(reason)

    def _bound(self) -> socket.socket:
        listener = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # asyncio sets this only on sockets that name their protocol; without it small answers wait 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            listener.bind((self.host, self.port))
            listener.listen()  # or two that begin at the same moment would both have bound
        except OSError as error:
            listener.close()
            raise DeclarationError(
                f"cannot listen on {self.host}:{self.port}: {error.strerror}; choose another with --port"
            ) from error
        self.port = listener.getsockname()[1]
        return listener
