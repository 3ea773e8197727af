"""A vendor on this machine that issues tokens slowly, and remembers what it did."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs


@dataclass(frozen=True, slots=True)
class Hit:
    """One exchange.

    Args:
        scope: what was asked for.
        worker: who asked.
        token: what was issued.
        answered_at: when, in seconds since 1970.
    """

    scope: str
    worker: int
    token: str
    answered_at: float


class Vendor(ThreadingHTTPServer):
    """Issues a token a request.

    Args:
        takes: seconds that it thinks first.
    """

    daemon_threads = True

    def __init__(self, *, takes: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.takes = takes
        self.hits: list[Hit] = []
        self.asked: list[tuple[str, int]] = []
        self.changed = threading.Condition()
        self._thread = threading.Thread(target=self.serve_forever)

    @property
    def url(self) -> str:
        """Of the token endpoint."""
        return f"http://127.0.0.1:{self.server_port}/token"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def first_asker(self, scope: str, *, within: float) -> int:
        """The worker whose request for *scope* came first, as soon as it has come."""
        with self.changed:
            if not self.changed.wait_for(lambda: any(one == scope for one, _ in self.asked), within):
                raise TimeoutError(f"nobody asked for {scope!r} within {within} s")
            return next(worker for one, worker in self.asked if one == scope)

    def answer(self, scope: str, worker: int) -> str:
        """Issue a token."""
        with self.changed:
            self.asked.append((scope, worker))
            token = f"{scope}-{len(self.asked)}"
            self.changed.notify_all()
        time.sleep(self.takes)
        with self.changed:
            self.hits.append(Hit(scope, worker, token, time.time()))
        return token

    def hits_of(self, scope: str) -> list[Hit]:
        """What was issued for *scope*, in order."""
        with self.changed:
            return [hit for hit in self.hits if hit.scope == scope]


class _Handler(BaseHTTPRequestHandler):
    server: Any  # typeshed has it as a BaseServer; it is a Vendor

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        token = self.server.answer(form["scope"][0], int(form["worker"][0]))
        body = json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600}).encode()
        try:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # whoever asked was killed
            return

    def log_message(self, *args: object) -> None:
        """Nothing: the hits are kept."""
