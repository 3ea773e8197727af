"""The shop's HTTP API: a token endpoint and the orders of the account that signed in."""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from typing import cast

import orjson
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from examples.orders.vendor.faults import Dropped, Fault, Faults
from examples.orders.vendor.oauth import Credentials, TokenIssuer, TokenRefusedError, signed_in_tenant
from examples.orders.vendor.order_book import ORDER_CHANGE, OrderBook

DEFAULT_LIMIT = 100
MAX_LIMIT = 500


class ShopEndpoints:
    """The endpoints over the accounts; no account reaches the orders of another."""

    def __init__(
        self,
        books: Mapping[str, OrderBook],
        accounts: Mapping[str, Credentials],
        tokens: TokenIssuer,
        faults: Faults,
    ) -> None:
        self._books = books
        self._accounts = accounts
        self._tokens = tokens
        self._faults = faults

    async def issue_token(self, request: Request) -> Response:
        """``POST /oauth/token``."""
        try:
            tenant = signed_in_tenant(
                self._accounts,
                authorization=request.headers.get("authorization"),
                content_type=request.headers.get("content-type"),
                body=await request.body(),
            )
        except TokenRefusedError as refusal:
            return _token_refused(refusal)
        answer = {
            "access_token": self._tokens.issue(tenant),
            "token_type": "Bearer",
            "expires_in": math.floor(self._tokens.lifetime.total_seconds()),
        }
        return _json(answer, headers={"Cache-Control": "no-store"})

    async def list_orders(self, request: Request) -> Response:
        """``GET /v1/orders``: a page, oldest row first, and the cursor of the next one."""
        fault = self._faults.take()
        await self._go_wrong(fault, request)
        book = self._book_of(request)
        asked = request.query_params.get("cursor")
        orders, more = book.page(
            after=_decoded_cursor(asked), limit=_checked_limit(request.query_params.get("limit"))
        )
        next_cursor = _encoded_cursor(orders[-1]["id"]) if more else None
        if fault is Fault.LOOP and asked is not None:
            next_cursor = asked
        page = {"orders": orders, "next_cursor": next_cursor, "total": len(book)}
        return _json(page, kind=Dropped if fault is Fault.DROP else Response)

    async def change_order(self, request: Request) -> Response:
        """``PATCH /v1/orders/{id}``: the order after the change."""
        book = self._book_of(request)
        try:
            change = ORDER_CHANGE.validate_json(await request.body())
        except ValidationError as error:
            detail = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise HTTPException(422, detail) from error
        order = book.change(request.path_params["order_id"], change)
        if order is None:
            raise HTTPException(404, "This account has no such order.")
        return _json(order)

    async def _go_wrong(self, fault: Fault | None, request: Request) -> None:
        match fault:
            case Fault.THROTTLE:
                seconds = math.ceil(self._faults.retry_after.total_seconds())
                raise HTTPException(429, "Too many requests.", headers={"Retry-After": str(seconds)})
            case Fault.FAIL:
                raise HTTPException(500, "Something went wrong at the shop.")
            case Fault.SLOW:
                await asyncio.sleep(self._faults.slow.total_seconds())
            case Fault.REVOKE:
                self._tokens.revoke(self._tenant_of(request))

    def _book_of(self, request: Request) -> OrderBook:
        return self._books[self._tenant_of(request)]

    def _tenant_of(self, request: Request) -> str:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorized('Bearer realm="shop"', "Send an access token as bearer token.")
        tenant = self._tokens.tenant_of(token)
        if tenant is None:
            raise _unauthorized(
                'Bearer realm="shop", error="invalid_token"', "The access token is unknown or expired."
            )
        return tenant


class RequestCounter:
    """Counts requests by path, whatever becomes of them."""

    def __init__(self, app: ASGIApp, counts: Counter[str]) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._counts[scope["path"]] += 1
        await self._app(scope, receive, send)


def create_app(endpoints: ShopEndpoints, counts: Counter[str]) -> Starlette:
    """The ASGI application; *counts* grows with each request."""
    return Starlette(
        routes=[
            Route("/oauth/token", endpoints.issue_token, methods=["POST"]),
            Route("/v1/orders", endpoints.list_orders, methods=["GET"]),
            Route("/v1/orders/{order_id}", endpoints.change_order, methods=["PATCH"]),
        ],
        middleware=[Middleware(RequestCounter, counts=counts)],
        exception_handlers={HTTPException: _problem},
    )


def _json(
    content: object,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    kind: type[Response] = Response,
) -> Response:
    return kind(orjson.dumps(content), status, headers, media_type="application/json")


def _unauthorized(challenge: str, detail: str) -> HTTPException:
    return HTTPException(401, detail, headers={"WWW-Authenticate": challenge})


def _problem(_: Request, error: Exception) -> Response:
    """An error as RFC 9457 problem details."""
    http_error = cast("HTTPException", error)  # Starlette types every handler for Exception
    status = HTTPStatus(http_error.status_code)
    body = {"type": "about:blank", "title": status.phrase, "status": status, "detail": http_error.detail}
    return Response(orjson.dumps(body), status, http_error.headers, media_type="application/problem+json")


def _token_refused(refusal: TokenRefusedError) -> Response:
    """In the form of RFC 6749, section 5.2: 401 and a challenge for an unknown client, 400 for the rest."""
    headers = {"Cache-Control": "no-store"}
    status = HTTPStatus.BAD_REQUEST
    if refusal.code == "invalid_client":
        headers["WWW-Authenticate"] = 'Basic realm="shop"'
        status = HTTPStatus.UNAUTHORIZED
    return _json({"error": refusal.code, "error_description": refusal.description}, status, headers)


def _checked_limit(raw: str | None) -> int:
    if raw is None:
        return DEFAULT_LIMIT
    if not re.fullmatch("[0-9]{1,9}", raw) or not 1 <= int(raw) <= MAX_LIMIT:
        raise HTTPException(400, f"limit must be a whole number from 1 to {MAX_LIMIT}, not {raw[:20]!r}.")
    return int(raw)


def _encoded_cursor(last_id: str) -> str:
    return base64.urlsafe_b64encode(last_id.encode()).decode()


def _decoded_cursor(raw: str | None) -> str:
    if raw is None:
        return ""
    try:
        last_id = base64.b64decode(raw, altchars="-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise HTTPException(400, "cursor is not one that this API gave out.") from error
    if not re.fullmatch("cdnow-[0-9]{6}", last_id):
        raise HTTPException(400, "cursor is not one that this API gave out.")
    return last_id
