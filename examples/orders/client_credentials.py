"""Signs the shop's requests with a token from its token endpoint (OAuth 2.0 client credentials)."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from threading import Lock
from typing import Annotated
from urllib.parse import quote_plus

import httpx
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import override

from examples.orders.answers import checked, parsed

RENEW_BEFORE_EXPIRY = 30.0
"""Seconds; a token is replaced this long before it expires, or after nine tenths of a shorter life."""


class AccessTokenAnswer(BaseModel):
    """A token as RFC 6749, section 5.1, sends it. Without ``expires_in`` it is used until refused."""

    model_config = ConfigDict(hide_input_in_errors=True)

    access_token: str = Field(min_length=1)
    token_type: Annotated[str, Field(pattern="(?i)^bearer$")]
    expires_in: float = Field(default=math.inf, gt=0)


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float


class ClientCredentials(httpx.Auth):
    """Fetches a token when one is needed, keeps it in this process, and renews it once when it is refused.

    Threads share it: one fetches, the others wait for that token. It serves ``httpx.Client`` alone.

    Args:
        clock: seconds that only grow.
    """

    def __init__(
        self, token_url: httpx.URL, client_id: str, client_secret: str, *, clock: Callable[[], float]
    ) -> None:
        self._token_url = token_url
        # RFC 6749, section 2.3.1: both are form-encoded before they are joined.
        basic = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
        self._authorization = f"Basic {b64encode(basic.encode()).decode()}"
        self._clock = clock
        self._lock = Lock()
        self._token: _Token | None = None

    @override
    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Called by httpx for each request: yields what to send, and is sent what came back."""
        token = yield from self._usable_token(request)
        request.headers["Authorization"] = f"Bearer {token.value}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            token = yield from self._usable_token(request, refused=token)
            request.headers["Authorization"] = f"Bearer {token.value}"
            yield request

    def _usable_token(
        self, request: httpx.Request, *, refused: _Token | None = None
    ) -> Generator[httpx.Request, httpx.Response, _Token]:
        with self._lock:
            asked_at = self._clock()
            if self._token is None or self._token is refused or self._token.renew_at <= asked_at:
                response = yield self._token_request(request)
                response.read()
                self._token = _token(parsed(AccessTokenAnswer, checked(response)), asked_at)
            return self._token

    def _token_request(self, request: httpx.Request) -> httpx.Request:
        # httpx keeps its timeouts in the extensions: a request made here has none but those it is given.
        return httpx.Request(
            "POST",
            self._token_url,
            data={"grant_type": "client_credentials"},
            headers={"Accept": "application/json", "Authorization": self._authorization},
            extensions=request.extensions,
        )


def _token(answer: AccessTokenAnswer, asked_at: float) -> _Token:
    margin = min(RENEW_BEFORE_EXPIRY, answer.expires_in / 10)
    return _Token(answer.access_token, renew_at=asked_at + answer.expires_in - margin)
