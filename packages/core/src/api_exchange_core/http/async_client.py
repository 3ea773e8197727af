"""The client of an API, for processors that are ``async def``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import aclosing, closing
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

import httpx
from typing_extensions import override

from api_exchange_core.adapters.http.body import Body
from api_exchange_core.adapters.http.token_auth import TokenSource
from api_exchange_core.application.services import current_services
from api_exchange_core.domain.budget import Budget
from api_exchange_core.http.api import Api, BaseUrl, auth_of, headers_of, no_cookies
from api_exchange_core.http.limits import Limits
from api_exchange_core.http.trip import Step, Trip, Wait
from api_exchange_core.http.verbs import Verbs


class AsyncApiClient(Verbs[Coroutine[Any, Any, httpx.Response]]):
    """As `ApiClient`, for processors that are ``async def``: its methods are awaited.

    It belongs to the event loop that it was first used on. Where waits and budgets are kept is asked as by `ApiClient`:
    about once a second the loop waits for a statement of the store.

    Args:
        name: this and the others as of `ApiClient`.
        base_url: of the API.
        tokens: put on each request.
        auth: in place of *tokens*.
        budget: of one tenant.
        limits: of a request.
        headers: of all requests.
        trust_env: proxies and certificates from the environment.
        transport: how requests travel.

    Raises:
        DeclarationError: as of `ApiClient`.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: BaseUrl,
        tokens: TokenSource | None = None,
        auth: httpx.Auth | None = None,
        budget: Budget | None = None,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
        trust_env: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        api = Api(
            name=name,
            base_url=base_url,
            auth=auth_of(tokens, auth),
            budget=budget,
            limits=Limits() if limits is None else limits,
        )
        http = httpx.AsyncClient(
            headers=headers_of(name, headers), cookies=no_cookies(), trust_env=trust_env, transport=transport
        )
        super().__init__(api, http)
        self._client = http

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @override
    async def _drive(self, trip: Trip) -> httpx.Response:
        steps = trip.steps()
        go_on: Callable[[], Step] = partial(next, steps)
        with closing(steps):
            while True:
                try:
                    step = go_on()
                except StopIteration as end:
                    return cast("httpx.Response", end.value)
                try:
                    go_on = partial(steps.send, await self._do(step))
                except httpx.HTTPError as error:
                    go_on = partial(steps.throw, error)

    async def _do(self, step: Step) -> httpx.Response | None:
        services = current_services()
        if isinstance(step, Wait):
            await services.sleeper.sleep_async(step.time)
            return None
        response = await self._client.send(step.request, auth=self._api.auth, stream=True)
        async with aclosing(response):
            body = Body(
                response, max_bytes=self._api.limits.max_bytes, clock=services.clock, until=step.until
            )
            async for part in response.aiter_bytes():
                body.add(part)
            return body.response()
