"""The client against a real server on this machine: sockets, packed bodies, refused tokens, and what is logged."""

from __future__ import annotations

import gzip
import io
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import structlog
from typing_extensions import override

from api_exchange_core import PermanentError, RetryableError
from api_exchange_core.adapters.telemetry.logging import configure_logging
from api_exchange_core.http import ApiClient, Limits, NumberedPages, pages
from packages.core.tests.http.conftest import SECRET, Tokens


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if self.headers["authorization"] != f"Bearer {SECRET}-2":
            self._answer(401, b"x" * 5_000_000)
        elif path == "/orders":
            number = int(query.rpartition("page=")[2])
            self._answer(200, json.dumps({"orders": list(range(3 * number, 9))[:3]}).encode())
        elif path == "/bomb":
            self._answer(200, gzip.compress(b"\0" * 50_000_000), packed=True)
        else:
            self.close_connection = True  # without an answer

    def _answer(self, status: int, body: bytes, *, packed: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", f"session={SECRET}")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # nobody wants the rest

    @override
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def shop(url: str, tokens: Tokens) -> Iterator[ApiClient]:
    with ApiClient("shop", base_url=url, tokens=tokens, limits=Limits(max_bytes=1_000_000)) as client:
        yield client


def test_pages_come_though_the_first_token_is_refused_with_more_than_is_ever_read(
    shop: ApiClient, tokens: Tokens
) -> None:
    found = pages(shop, NumberedPages(path="/orders", items="/orders", first=0))
    assert [page.items for page in found] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], []]
    assert tokens.given_up == ["id-1"]


def test_a_packed_bomb_is_refused(shop: ApiClient) -> None:
    with pytest.raises(PermanentError, match="more than 1,000,000 bytes"):
        shop.get("/bomb")


def test_a_server_that_hangs_up_or_is_not_there_is_worth_another_try(shop: ApiClient, tokens: Tokens) -> None:
    with pytest.raises(RetryableError, match=r"no answer \(RemoteProtocolError\)"):
        shop.get("/hang-up")
    with (
        ApiClient("gone", base_url="http://127.0.0.1:1") as gone,
        pytest.raises(RetryableError, match=r"no answer \(ConnectError\)"),
    ):
        gone.get("/")


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_no_log_shows_what_a_query_a_cookie_or_a_token_holds(shop: ApiClient, level: str) -> None:
    written = io.StringIO()
    with redirect_stderr(written):
        configure_logging(json=True, level=level)
    try:
        shop.get("/orders", params={"key": f"{SECRET}-query", "page": 0})
    finally:
        structlog.reset_defaults()
        for handler in [one for one in logging.getLogger().handlers if type(one).__name__ == "_Handler"]:
            logging.getLogger().removeHandler(handler)
    assert SECRET not in written.getvalue()
    assert ("/orders" in written.getvalue()) == (level == "DEBUG")
