"""Runs the shop's API on a free port of the loopback interface, in a thread of this process."""

from __future__ import annotations

import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from types import TracebackType
from typing import Self

import uvicorn

from examples.orders.vendor.app import ShopEndpoints, create_app
from examples.orders.vendor.faults import Faults
from examples.orders.vendor.oauth import Credentials, TokenIssuer
from examples.orders.vendor.order_book import Order, order_books

HOST = "127.0.0.1"
TOKEN_LIFETIME = timedelta(seconds=300)
STOP_WITHIN = timedelta(seconds=10)


class VendorApi:
    """The shop while its one ``with`` block runs. Each tenant has an account, with credentials of this run.

    Args:
        port: 0 for any free one.
        orders: how many of its orders each account has at most; None for all.
        token_lifetime: how long an access token is good for.
        clock: seconds that only grow; decides when tokens expire.

    Attributes:
        faults: what goes wrong with the requests to come; nothing unless it is planned.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        orders: int | None = None,
        token_lifetime: timedelta = TOKEN_LIFETIME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        books = order_books(most=orders)
        self._books = books
        self._port = port
        self._accounts = {tenant: _new_credentials(tenant) for tenant in books}
        self._requests: Counter[str] = Counter()
        self.faults = Faults()
        tokens = TokenIssuer(lifetime=token_lifetime, clock=clock)
        app = create_app(ShopEndpoints(books, self._accounts, tokens, self.faults), self._requests)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",  # a dropped connection is an error of the server, and here it is meant
                timeout_graceful_shutdown=2,
            )
        )

    @property
    def url(self) -> str:
        """Where the API answers, without a slash at the end."""
        return f"http://{HOST}:{self._port}"

    @property
    def tenants(self) -> tuple[str, ...]:
        """The tenants that have an account with the shop."""
        return tuple(self._accounts)

    @property
    def requests(self) -> dict[str, int]:
        """How often each path was asked for so far."""
        return dict(self._requests)

    def orders(self, tenant: str) -> list[Order]:
        """The orders of *tenant*'s account as they are now.

        Raises:
            LookupError: the tenant has no account.
        """
        return list(self._books[tenant])

    def credentials(self, tenant: str) -> Credentials:
        """The client id and the client secret of *tenant*'s account.

        Raises:
            LookupError: the tenant has no account.
        """
        if tenant not in self._accounts:
            raise LookupError(f"{tenant!r} is no account of the shop; these are: {', '.join(self._accounts)}")
        return self._accounts[tenant]

    def __enter__(self) -> Self:
        listener = _listener(self._port)
        self._port = listener.getsockname()[1]
        self._thread = Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="vendor-api", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_WITHIN.total_seconds())
        if self._thread.is_alive():
            raise RuntimeError(f"the shop's API at {self.url} did not stop within {STOP_WITHIN}")


def _listener(port: int) -> socket.socket:
    """Listens at once: connections wait in its backlog until the server's thread runs."""
    listener = socket.create_server((HOST, port))
    # Accepted connections inherit it; without it Nagle's algorithm holds the second half of a page for 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _new_credentials(tenant: str) -> Credentials:
    return Credentials(client_id=f"{tenant}-{secrets.token_hex(4)}", client_secret=secrets.token_urlsafe(32))
