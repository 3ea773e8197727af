"""What one can ask of an API, whether it is waited for or awaited."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Generic, TypeVar

import httpx
from typing_extensions import override

from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.http.api import Api, Params
from api_exchange_core.http.trip import Trip

Answer = TypeVar("Answer")


class Verbs(ABC, Generic[Answer]):
    """The methods of a client.

    Args:
        api: that it asks.
        http: makes its requests.
    """

    def __init__(self, api: Api, http: httpx.Client | httpx.AsyncClient) -> None:
        self._api = api
        self._http = http

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._api.name!r})"

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: JsonValue = None,
        data: Mapping[str, str] | None = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """Send a request, and return its answer, all of it, if it is a success.

        Waits that are short are waited here, and what is safe to send again is sent again: methods that are
        idempotent, what has an *idempotency_key*, and whatever was not sent or was turned down before it had an effect.

        Args:
            method: ``GET`` and so on.
            path: below the base URL, or a whole address on its host.
            params: of the query.
            json: as body. *data* (a form) and *content* are the other two ways to give one.
            data: as of *json*.
            content: as of *json*.
            headers: of this request.
            idempotency_key: by which the API knows a request that it has seen; the message's id is a good one.
            accept: statuses that are returned besides the successes, such as ``{404}``.

        Raises:
            RetryableError: the API cannot answer for now.
            DeferError: it, or the budget, asks for a wait that is too long for this call.
            PermanentError: it refuses, redirects elsewhere, or answers with too much.
            DeclarationError: nothing is at work here.
        """
        key = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        request = self._http.build_request(
            method,
            self._api.url(path, params),
            json=json,
            data=data,
            content=content,
            headers={**(headers or {}), **key},
        )
        return self._drive(Trip(self._api, request, accept))

    def get(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """As `request` with ``GET``."""
        return self.request("GET", path, params=params, headers=headers, accept=accept)

    def post(
        self, path: str, *, json: JsonValue, idempotency_key: str | None = None, accept: Collection[int] = ()
    ) -> Answer:
        """As `request` with ``POST``."""
        return self.request("POST", path, json=json, idempotency_key=idempotency_key, accept=accept)

    def put(self, path: str, *, json: JsonValue, accept: Collection[int] = ()) -> Answer:
        """As `request` with ``PUT``."""
        return self.request("PUT", path, json=json, accept=accept)

    def patch(
        self, path: str, *, json: JsonValue, idempotency_key: str | None = None, accept: Collection[int] = ()
    ) -> Answer:
        """As `request` with ``PATCH``."""
        return self.request("PATCH", path, json=json, idempotency_key=idempotency_key, accept=accept)

    def delete(self, path: str, *, accept: Collection[int] = ()) -> Answer:
        """As `request` with ``DELETE``."""
        return self.request("DELETE", path, accept=accept)

    @abstractmethod
    def _drive(self, trip: Trip) -> Answer:
        """Carry out the steps of *trip* to its end."""
