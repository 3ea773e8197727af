"""The client of the shop's API that the source processor is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, RootModel
from typing_extensions import override

from api_exchange_core.domain.errors import PermanentError, TenantError
from examples.orders.answers import checked, parsed, translated
from examples.orders.client_credentials import ClientCredentials
from examples.orders.models import JsonObject

TIMEOUT = httpx.Timeout(10.0, connect=3.0)
"""Seconds; 10 between two bytes of an answer, 3 to connect."""
PAGE_SIZE = 500
"""Orders; the most that the shop gives at once."""


class OrderPage(BaseModel):
    """One page of the feed. Orders stay as they were sent: judging them is the transformation's part."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    orders: list[JsonObject]
    next_cursor: str | None


class OrderAnswer(RootModel[JsonObject]):
    """One order, as it was sent."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class ShopClient:
    """One account of the shop. Threads may share it; ``close`` it, or use it in a ``with`` block.

    Args:
        base_url: with scheme and host, as ``https://api.shop.example``.
        transport: how requests travel; None for the network.
        clock: seconds that only grow; decides when a token is renewed.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        client_secret: str,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        url = httpx.URL(base_url.rstrip("/"))
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError(f"base_url must be an http or https address with a host, not {url!r}")
        self._http = httpx.Client(
            base_url=url,
            auth=ClientCredentials(httpx.URL(f"{url}/oauth/token"), client_id, client_secret, clock=clock),
            timeout=TIMEOUT,
            transport=transport,
            # A proxy set for this machine would stand between the demo and its vendor on loopback.
            trust_env=False,
        )

    @override
    def __repr__(self) -> str:
        return f"ShopClient({self._http.base_url!r})"

    def orders(self) -> Iterator[list[JsonObject]]:
        """The account's orders, page after page, each fetched when it is asked for.

        Raises:
            RetryableError: the shop cannot answer for now.
            PermanentError: it refuses, or its pages lead in a circle.
        """
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            page = self._page(cursor)
            yield page.orders
            cursor = page.next_cursor
            if cursor is None:
                return
            if cursor in seen:
                raise PermanentError(
                    f"{self!r}: the pages of orders lead in a circle after {len(seen) + 1} pages"
                )
            seen.add(cursor)

    def get_data(self) -> Iterator[JsonObject]:
        """The account's orders one by one; raises as ``orders`` does."""
        for page in self.orders():
            yield from page

    def change_order(self, order_id: str, change: JsonObject) -> JsonObject:
        """Change one order in the shop, such as ``{"cds": 3}``, and return it as it is now.

        Raises:
            RetryableError: the shop cannot answer for now.
            PermanentError: it refuses the change, or knows no such order.
        """
        with translated():
            response = self._http.patch(f"/v1/orders/{quote(order_id, safe='')}", json=change)
        return parsed(OrderAnswer, checked(response)).root

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _page(self, cursor: str | None) -> OrderPage:
        query: dict[str, str | int] = {"limit": PAGE_SIZE}
        if cursor is not None:
            query["cursor"] = cursor
        with translated():
            response = self._http.get("/v1/orders", params=query)
        return parsed(OrderPage, checked(response))


class ShopClients:
    """The shop for whichever tenant is at work: each has an account of its own.

    Args:
        clients: one for each tenant; closing them stays with the caller.
        current_tenant: asked at each call, never remembered.
    """

    def __init__(self, clients: Mapping[str, ShopClient], current_tenant: Callable[[], str]) -> None:
        self._clients = clients
        self._current_tenant = current_tenant

    def get_data(self) -> Iterator[JsonObject]:
        """The current tenant's orders; whose they are is settled by this call, not by the first order read.

        Raises:
            TenantError: the tenant has no account.
        """
        tenant = self._current_tenant()
        if tenant not in self._clients:
            raise TenantError(
                f"tenant {tenant!r} has no account with the shop: give ShopClients a client for it"
            )
        return self._clients[tenant].get_data()
