"""Signing requests with tokens that somebody else keeps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Generator
from typing import Protocol, runtime_checkable

import httpx
from typing_extensions import override

from api_exchange_core.adapters.http.answers import asked
from api_exchange_core.domain.errors import RetryableError
from api_exchange_core.domain.operation import current_operation


class TokenSource(Protocol):
    """Gives the current tenant's token for one API."""

    @abstractmethod
    def get_valid_token(self, *, operation: str) -> tuple[str, str]:
        """A token that is valid, and its id.

        Args:
            operation: what it is for, as logs name it.
        """

    @abstractmethod
    def invalidate(self, token_id: str) -> object:
        """Never give the token with this id again: the API has refused it. A newer one stays.

        What it answers is not looked at.
        """


@runtime_checkable
class AsyncTokenSource(Protocol):
    """As `TokenSource`, on an event loop."""

    @abstractmethod
    async def get_valid_token_async(self, *, operation: str) -> tuple[str, str]:
        """A token that is valid, and its id."""

    @abstractmethod
    async def invalidate_async(self, token_id: str) -> object:
        """Never give the token with this id again."""


class TokenAuth(httpx.Auth):
    """Puts a token on each request; one that is refused (401) is given up, and the request sent once more with another.

    Args:
        tokens: asked at each request. On an event loop its async twins are awaited where it has them (see
            `AsyncTokenSource`); else it is asked as it is, and the loop waits.
        header: that the token is sent in.
        scheme: in front of the token; ``""`` for the token alone.
    """

    def __init__(self, tokens: TokenSource, *, header: str = "Authorization", scheme: str = "Bearer") -> None:
        self._tokens = tokens
        self._header = header
        self._scheme = scheme

    @override
    def __repr__(self) -> str:
        return f"TokenAuth(header={self._header!r}, scheme={self._scheme!r})"

    @override
    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Called by httpx: yields what to send, and is sent what came back.

        Raises:
            RetryableError: the token was refused, and the body is a stream, which cannot be sent again.
        """
        token, token_id = self._tokens.get_valid_token(operation=_operation(request))
        self._sign(request, token)
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            response.close()
            self._tokens.invalidate(token_id)
            _check_replayable(request)
            token, _ = self._tokens.get_valid_token(operation=_operation(request))
            self._sign(request, token)
            _forget_body(response)
            yield request

    @override
    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """As `sync_auth_flow`."""
        token, token_id = await self._get(request)
        self._sign(request, token)
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            await response.aclose()
            await self._invalidate(token_id)
            _check_replayable(request)
            token, _ = await self._get(request)
            self._sign(request, token)
            _forget_body(response)
            yield request

    async def _get(self, request: httpx.Request) -> tuple[str, str]:
        if isinstance(self._tokens, AsyncTokenSource):
            return await self._tokens.get_valid_token_async(operation=_operation(request))
        return self._tokens.get_valid_token(operation=_operation(request))

    async def _invalidate(self, token_id: str) -> None:
        if isinstance(self._tokens, AsyncTokenSource):
            await self._tokens.invalidate_async(token_id)
        else:
            self._tokens.invalidate(token_id)

    def _sign(self, request: httpx.Request, token: str) -> None:
        request.headers[self._header] = f"{self._scheme} {token}" if self._scheme else token


def _operation(request: httpx.Request) -> str:
    return current_operation() or f"{request.method} {request.url.path}"


def _check_replayable(request: httpx.Request) -> None:
    if not isinstance(request.stream, httpx.ByteStream):
        raise RetryableError(
            f"{asked(request)}: the token was refused, and the body is a stream, which cannot be sent again: "
            "hand it over as bytes"
        )


def _forget_body(response: httpx.Response) -> None:
    """Httpx reads what it throws away, however long it is; of a refusal nothing is wanted."""
    response.is_closed = response.is_stream_consumed = False
    response.stream = httpx.ByteStream(b"")
    response.headers.pop("content-encoding", None)
