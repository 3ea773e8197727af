"""The HTTP functions as a Starlette application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api_exchange_core.application.accept_request import UNDER_WAY, AcceptRequest, Challenge, too_large
from api_exchange_core.application.call import loggable
from api_exchange_core.application.intake_limits import retry_after
from api_exchange_core.application.request import Refusal, Request, RequestRefusedError
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.http_path import TENANT_PARAMETER
from api_exchange_core.domain.trigger import HttpTrigger
from api_exchange_core.local.bell import Bell
from api_exchange_core.ports.observer import Observer

BODY_TIMEOUT: Final = timedelta(seconds=20)
"""Longest time that a body may take; a client that sends a byte now and then holds up a connection no longer."""


def http_app(
    functions: Sequence[Function],
    accept: AcceptRequest,
    *,
    bell: Bell,
    observer: Observer,
    management: Iterable[Route] = (),
    body_timeout: timedelta = BODY_TIMEOUT,
) -> Starlette:
    """Serve *functions*: 202 with the message's ids once a request is stored, problem+json (RFC 9457) otherwise.

    Args:
        functions: those with an HTTP trigger are served.
        accept: takes in their requests.
        bell: rung when a request was stored.
        observer: hears of requests that failed because of an error of ours.
        management: what else is served.
        body_timeout: as long as the body of a request may take to come.
    """
    routes = [
        *management,
        *(
            _route(function, function.trigger, accept, bell, body_timeout)
            for function in functions
            if isinstance(function.trigger, HttpTrigger)
        ),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            RequestRefusedError: _refused,
            TransientError: _unavailable(observer),
            HTTPException: _http_error,
            Exception: _failing(observer),
        },
    )
    # A redirect to the path without its last slash: no sender follows one with what it has signed, and it would be
    # the only answer that is no problem document, made of whatever host the request names.
    app.router.redirect_slashes = False
    return app


def _route(
    function: Function, trigger: HttpTrigger, accept: AcceptRequest, bell: Bell, body_timeout: timedelta
) -> Route:
    route = Route(trigger.path, _endpoint(function, trigger, accept, bell, body_timeout))
    route.methods = set(trigger.methods)  # Route itself adds HEAD to GET, and HEAD would store a message
    return route


def _endpoint(
    function: Function, trigger: HttpTrigger, accept: AcceptRequest, bell: Bell, body_timeout: timedelta
) -> Callable[[HttpRequest], Awaitable[Response]]:
    async def endpoint(request: HttpRequest) -> Response:
        head = Request(
            headers={name: ", ".join(request.headers.getlist(name)) for name in request.headers},
            query=dict(request.query_params),
            body=b"",
            tenant=request.path_params.get(TENANT_PARAMETER),
        )
        # Before the body: what a stranger sends is not worth its memory.
        admission = await run_in_threadpool(accept.admit, function, head)
        whole = replace(head, body=await _body(request, trigger, body_timeout))
        answer = await run_in_threadpool(accept.take_in, function, whole, admission)
        if isinstance(answer, Challenge):
            return JSONResponse({"challenge": answer.text})
        bell.ring()
        return JSONResponse(
            {"message_id": answer.message_id, "correlation_id": answer.correlation_id},
            status_code=HTTPStatus.ACCEPTED,
        )

    return endpoint


async def _body(request: HttpRequest, trigger: HttpTrigger, at_most: timedelta) -> bytes:
    """The body, read only as far as it may be long, and only as long as it may take."""
    parts = []
    size = 0
    try:
        async with asyncio.timeout(at_most.total_seconds()):
            async for part in request.stream():
                size += len(part)
                if size > trigger.max_body:
                    raise too_large(trigger)
                parts.append(part)
    except ClientDisconnect:
        raise RequestRefusedError(Refusal.UNREADABLE, "the body ended early") from None
    except TimeoutError:
        raise HTTPException(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the body did not come within {at_most.total_seconds():g} seconds",
            headers={"Connection": "close"},
        ) from None
    return b"".join(parts)


async def _refused(_: HttpRequest, error: Exception) -> Response:
    if not isinstance(error, RequestRefusedError):
        raise error
    return _problem(error.refusal.status, str(error), error.headers)


def _unavailable(observer: Observer) -> Callable[[HttpRequest, Exception], Awaitable[Response]]:
    async def unavailable(_: HttpRequest, error: Exception) -> Response:
        observer.event("http.unavailable", **loggable(error))
        return _problem(503, "the request could not be stored; try again", retry_after(UNDER_WAY))

    return unavailable


async def _http_error(_: HttpRequest, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return _problem(error.status_code, error.detail, dict(error.headers or {}))


def _failing(observer: Observer) -> Callable[[HttpRequest, Exception], Awaitable[Response]]:
    async def failed(_: HttpRequest, error: Exception) -> Response:
        observer.event("http.error", **loggable(error))
        return _problem(
            500, "the request could not be taken in because of an error of ours; it was not stored", {}
        )

    return failed


def _problem(status: int, detail: str, headers: Mapping[str, str]) -> Response:
    title = HTTPStatus(status).phrase
    return JSONResponse(
        {"title": title, "status": status, "detail": detail},
        status_code=status,
        headers=dict(headers),
        media_type="application/problem+json",
    )
