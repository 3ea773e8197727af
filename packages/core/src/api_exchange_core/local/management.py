"""What a server tells of its own process: ``/healthz``, ``/readyz`` and ``/metrics``.

Anybody who reaches the port may read them, so they name no tenant and repeat no error's text.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api_exchange_core.domain.trigger import HEALTH_PATH, METRICS_PATH, READY_PATH

Page = Callable[[], tuple[bytes, str]]
"""Makes what a Prometheus reads, and its content type."""


@dataclass(frozen=True, slots=True)
class Management:
    """The endpoints that are no functions.

    Args:
        unready: why the process should be handed no work for now; nothing if it should.
        page: the metrics; None where none are collected.
    """

    unready: Callable[[], Sequence[str]]
    page: Page | None

    def routes(self) -> list[Route]:
        """Where they are served."""
        routes = [Route(HEALTH_PATH, _healthz), Route(READY_PATH, self._readyz)]
        return routes if self.page is None else [*routes, Route(METRICS_PATH, _metrics(self.page))]

    async def _readyz(self, _: Request) -> Response:
        reasons = await run_in_threadpool(self.unready)
        if reasons:
            return JSONResponse({"status": "not ready", "reasons": list(reasons)}, status_code=503)
        return JSONResponse({"status": "ready"})


def _metrics(page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def metrics(_: Request) -> Response:
        body, content_type = await run_in_threadpool(page)
        return Response(body, headers={"Content-Type": content_type})

    return metrics


async def _healthz(_: Request) -> Response:
    return JSONResponse({"status": "ok"})
