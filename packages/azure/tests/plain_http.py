"""A way for clients that speak nothing but HTTPS to a server of the tests, which has no certificate."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from azure.core.pipeline.transport import RequestsTransport
from typing_extensions import override


class PlainHttp(RequestsTransport):  # type: ignore[misc]  # azure-core loads it lazily, as Any
    """Takes each request to a port of 127.0.0.1, without TLS."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    @override
    def send(self, request: Any, **options: Any) -> Any:
        asked = request.url
        request.url = urlunsplit(urlsplit(asked)._replace(scheme="http", netloc=f"127.0.0.1:{self._port}"))
        try:
            return super().send(request, **options)
        finally:
            request.url = asked  # policies look at it before they send it again
