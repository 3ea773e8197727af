"""What answers mean to a function: go on, try again, wait, or give up."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Final, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from api_exchange_core.domain.errors import DeferError, ExchangeError, PermanentError, RetryableError
from api_exchange_core.domain.json_value import JsonValue

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""RFC 9110, section 9.2.2: several of the same have the effect of one."""

_IDEMPOTENCY_KEY: Final = "idempotency-key"  # draft-ietf-httpapi-idempotency-key-header
_NOTHING_WAS_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_LIMITED: Final = frozenset({403, 429})
"""How APIs say that one has asked too often. 403 means that only where a wait comes with it, as at GitHub."""
_FOR_NOW: Final = frozenset({408, 425, 429})
_JSON: Final = TypeAdapter[JsonValue](JsonValue)

Model = TypeVar("Model", bound=BaseModel)


def asked(request: httpx.Request) -> str:
    """The request as messages name it: without query and user info, which may hold what logs must not."""
    return f"{request.method} {request.url.copy_with(query=None, fragment=None, userinfo=b'')}"


def is_repeatable(request: httpx.Request) -> bool:
    """Whether it may be sent again though the first may have had its effect."""
    return request.method in IDEMPOTENT or _IDEMPOTENCY_KEY in request.headers


def had_no_effect(failure: httpx.HTTPError | httpx.Response) -> bool:
    """Whether the request was never acted upon: nothing was sent, or it was turned down (RFC 6585, section 4)."""
    if isinstance(failure, httpx.Response):
        return failure.status_code in _LIMITED
    return isinstance(failure, _NOTHING_WAS_SENT)


def is_turned_down(response: httpx.Response) -> bool:
    """Whether the API is not up to requests for now, this one or others."""
    if response.status_code == HTTPStatus.FORBIDDEN:
        return "retry-after" in response.headers
    return response.status_code in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


def is_for_now(failure: ExchangeError) -> bool:
    """Whether it is worth trying again."""
    return isinstance(failure, RetryableError | DeferError)


def no_answer(request: httpx.Request, error: httpx.HTTPError) -> ExchangeError:
    """What it means that there was no answer."""
    said = f"{asked(request)}: no answer ({type(error).__name__})"
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return PermanentError(f"{said}: the request cannot be sent as it is")
    return RetryableError(said)


def failure_of(response: httpx.Response, wait: timedelta | None) -> ExchangeError:
    """What it means that the answer is no success.

    Args:
        response: the answer.
        wait: how long the API asks to be left alone.
    """
    status = response.status_code
    said = f"{asked(response.request)}: answered {status}{_phrase(status)}"
    if status in _LIMITED and wait is not None:
        return DeferError(f"{said}, and asks for a wait of {wait}", delay=wait)
    if status in _FOR_NOW or response.is_server_error:
        return RetryableError(said, retry_after=wait)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return PermanentError(f"{said}; check this tenant's account with the API, and its rights")
    if response.is_redirect:
        return PermanentError(
            f"{said}, and redirects are followed for GET and HEAD within the API's own host alone"
        )
    return PermanentError(said)


def json_of(response: httpx.Response) -> JsonValue:
    """The body of a success as JSON.

    Raises:
        RetryableError: it is something else, as when a proxy answers in the API's place.
    """
    try:
        return _JSON.validate_json(response.content)
    except ValidationError:
        raise RetryableError(f"{asked(response.request)}: the answer is no JSON") from None


def answer_as(model: type[Model], response: httpx.Response) -> Model:
    """The body of a success as *model*.

    Raises:
        RetryableError: it is something else, as when a proxy answers in the API's place. What is wrong is told by the
            names of fields, never by their values.
    """
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        kinds = sorted(
            {f"{'.'.join(map(str, one['loc'])) or 'all of it'}: {one['type']}" for one in error.errors()}
        )
        raise RetryableError(
            f"{asked(response.request)}: the answer is no {model.__name__} ({', '.join(kinds[:5])})"
        ) from None


def _phrase(status: int) -> str:
    """The standard's own words: the server's may quote anything."""
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
