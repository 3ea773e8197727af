"""A server on 127.0.0.1 that gives a real client of Table Storage the answer that a test wants it to have."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


@contextmanager
def answering(status: int, code: str, headers: Mapping[str, str]) -> Iterator[str]:
    """Within the block, the connection string of a server that answers everything with one error."""
    body = json.dumps({"odata.error": {"code": code, "message": {"lang": "en-US", "value": "no"}}}).encode()

    class Requests(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names that they have there

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it has there
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Requests)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        port = server.server_address[1]
        yield (
            "DefaultEndpointsProtocol=http;AccountName=nobody;AccountKey=aHVudGVyMg==;"
            f"TableEndpoint=http://127.0.0.1:{port}/nobody;"
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
