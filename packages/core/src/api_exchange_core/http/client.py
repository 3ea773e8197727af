"""The client of an API, for processors that are ``def``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from types import TracebackType
from typing import Self, cast

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


class ApiClient(Verbs[httpx.Response]):
    """Asks one API on behalf of whichever tenant is at work. Threads may share it; it is closed, or used in a ``with``.

    It is used where a processor runs; elsewhere within ``with container.use_cases.services().at_work():`` and
    ``with tenant_context(...):``.

    Args:
        name: of the API; waits and the budget are kept for each tenant under it.
        base_url: with scheme and host; or a function that gives it for a tenant.
        tokens: put on each request (see `TokenAuth`, which as *auth* says in which header).
        auth: httpx's own way to sign requests, in place of *tokens*.
        budget: how often one tenant may ask, by all instances together; None if the API's own answers say enough.
        limits: what a request may cost.
        headers: sent with each request.
        trust_env: proxies, certificates and ``.netrc`` are taken from the environment (``HTTPS_PROXY``,
            ``SSL_CERT_FILE``, ...), as httpx does it by default. Here they are not: a variable of the machine is not to
            decide where a tenant's data and tokens go.
        transport: how requests travel; None for the network. Tests hand in `httpx.MockTransport`.

    Raises:
        DeclarationError: a name or an address that is none, or *tokens* and *auth* at once.
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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        api = Api(
            name=name,
            base_url=base_url,
            auth=auth_of(tokens, auth),
            budget=budget,
            limits=Limits() if limits is None else limits,
        )
        http = httpx.Client(
            headers=headers_of(name, headers), cookies=no_cookies(), trust_env=trust_env, transport=transport
        )
        super().__init__(api, http)
        self._client = http

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @override
    def _drive(self, trip: Trip) -> httpx.Response:
        steps = trip.steps()
        go_on: Callable[[], Step] = partial(next, steps)
        with closing(steps):
            while True:
                try:
                    step = go_on()
                except StopIteration as end:
                    return cast("httpx.Response", end.value)
                try:
                    go_on = partial(steps.send, self._do(step))
                except httpx.HTTPError as error:
                    go_on = partial(steps.throw, error)

    def _do(self, step: Step) -> httpx.Response | None:
        services = current_services()
        if isinstance(step, Wait):
            services.sleeper.sleep(step.time)
            return None
        response = self._client.send(step.request, auth=self._api.auth, stream=True)
        with closing(response):
            body = Body(
                response, max_bytes=self._api.limits.max_bytes, clock=services.clock, until=step.until
            )
            for part in response.iter_bytes():
                body.add(part)
            return body.response()
