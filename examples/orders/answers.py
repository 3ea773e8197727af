"""What the shop's answers mean to a function: go on, try again, or give up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from api_exchange_core.domain.errors import PermanentError, RetryableError

_WORTH_ANOTHER_TRY = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS}

_Answer = TypeVar("_Answer", bound=BaseModel)


@contextmanager
def translated() -> Iterator[None]:
    """Turns httpx's errors (no connection, no answer in time, a broken one) into ours.

    Raises:
        RetryableError: the shop gave no answer that can be read.
    """
    try:
        yield
    except httpx.RequestError as error:
        raise RetryableError(f"{_asked(error.request)}: no answer ({type(error).__name__})") from error


def checked(response: httpx.Response) -> httpx.Response:
    """The response itself, if it is a success.

    Raises:
        RetryableError: 408, 429 or 5xx; with the wait that the shop asks for.
        PermanentError: any other status, which asking again will not change.
    """
    if response.is_success:
        return response
    failure = f"{_asked(response.request)}: answered {response.status_code} {response.reason_phrase}"
    if response.is_server_error or response.status_code in _WORTH_ANOTHER_TRY:
        raise RetryableError(failure, retry_after=retry_after(response))
    if response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        failure += "; check the client id and the client secret of this account"
    raise PermanentError(failure)


def parsed(model: type[_Answer], response: httpx.Response) -> _Answer:
    """The body of a success as *model*.

    Raises:
        RetryableError: it is something else, as when a proxy answers in the shop's place.
    """
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise RetryableError(f"{_asked(response.request)}: the answer is no {model.__name__}") from error


def retry_after(response: httpx.Response) -> timedelta | None:
    """The wait of a ``Retry-After`` header (RFC 9110, section 10.2.3); None without one that can be read.

    A date is taken against the answer's own ``Date``, so the clocks of the two sides need not agree.
    """
    value = response.headers.get("retry-after", "")
    if re.fullmatch("[0-9]{1,9}", value):
        return timedelta(seconds=int(value))
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(response.headers.get("date", ""))
    except (ValueError, TypeError):
        # TypeError: one of the dates names no time zone.
        return None
    return max(wait, timedelta(0))


def _asked(request: httpx.Request) -> str:
    """The request as messages name it: without query and user info, which may hold what logs must not."""
    return f"{request.method} {request.url.copy_with(query=None, userinfo=b'')}"
