"""A server on 127.0.0.1 that gives a real client of AWS the answers that a test wants it to have."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

Answers = Mapping[str, tuple[int, Mapping[str, Any]]]
"""Status and JSON document for each action, such as ``SendMessageBatch``."""


@contextmanager
def answering(answers: Answers) -> Iterator[str]:
    """Within the block, the URL of a server that gives *answers*."""

    class Requests(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            action = self.headers["X-Amz-Target"].rpartition(".")[2]
            self.rfile.read(int(self.headers["Content-Length"]))
            status, document = answers[action]
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it has there
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Requests)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def error(code: str, message: str = "no") -> tuple[int, dict[str, Any]]:
    """An error as AWS's JSON protocols have it."""
    return 400, {"__type": f"com.amazonaws#{code}", "message": message}
