"""A way to the stand-in of storage for a client whose account is asked for too much."""

from __future__ import annotations

from typing import Any

from azure.core.pipeline.transport import RequestsTransport
from requests import Response
from typing_extensions import override


class Throttled(RequestsTransport):  # type: ignore[misc]  # azure-core loads it lazily, as Any
    """Answers as a service that throttles, once `is_busy`; takes requests on their way before.

    Args:
        status: the one that it answers with.
    """

    def __init__(self, status: int) -> None:
        super().__init__()
        self.is_busy = False
        self._status = status

    @override
    def send(self, request: Any, **options: Any) -> Any:
        return self._refusal(request) if self.is_busy else super().send(request, **options)

    def _refusal(self, request: Any) -> Any:
        from azure.core.pipeline.transport import RequestsTransportResponse

        response = Response()
        response.status_code, response.reason = self._status, "Server Busy"
        response.headers["x-ms-error-code"] = "ServerBusy"
        response._content = b""
        return RequestsTransportResponse(request, response)
