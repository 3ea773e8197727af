"""The grants against a token endpoint on this machine."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from pydantic import BaseModel, SecretStr

from api_exchange_core.adapters.http.grants import ClientAuth, ClientCredentials, RefreshToken
from api_exchange_core.application.token_plan import CallableGrant
from api_exchange_core.domain.errors import (
    DeclarationError,
    PermanentError,
    RetryableError,
    TransientError,
)
from api_exchange_core.domain.secret import Secret
from api_exchange_core.domain.token_answer import TokenAnswer
from api_exchange_core.ports.token_grant import TokenRefusedError

HOUR = timedelta(hours=1)
CREDENTIALS = {"client_id": "my client", "client_secret": "s3cr3t/+:", "refresh_token": "first-refresh"}


@dataclass
class Endpoint:
    """Answers what a test tells it to, and keeps what it was asked."""

    url: str = ""
    status: int = 200
    body: bytes = b'{"access_token": "tok-1", "token_type": "Bearer", "expires_in": 3600}'
    headers: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False
    drips: bool = False
    forms: list[dict[str, str]] = field(default_factory=list)
    authorization: list[str | None] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    answers = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            answers.forms.append({name: values[0] for name, values in form.items()})
            answers.authorization.append(self.headers["authorization"])
            if answers.silent:
                answers.over.wait()
                return
            if answers.drips:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while not answers.over.wait(0.05):
                    self.wfile.write(b"x")
                return
            self.send_response(answers.status)
            for name, value in answers.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answers.body)))
            self.end_headers()
            self.wfile.write(answers.body)

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answers.url = f"http://127.0.0.1:{server.server_port}/token"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield answers
    answers.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def client(endpoint: Endpoint, *, auth: ClientAuth = ClientAuth.BASIC) -> ClientCredentials:
    return ClientCredentials(
        token_url=endpoint.url,
        credentials=lambda: CREDENTIALS,
        scope="orders",
        auth=auth,
        extra={"audience": "a"},
    )


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_machine_sees_the_secret_only_if_the_application_says_so(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, endpoint.url.removesuffix("/token"))
    elsewhere = replace(client(endpoint), token_url="http://shop.invalid/token")
    with pytest.raises(TokenRefusedError, match="cannot be reached"):
        elsewhere.ask(None)
    assert endpoint.forms == []
    assert replace(elsewhere, trust_env=True).ask(None).token == Secret("tok-1")


def test_client_credentials_go_into_the_header_encoded_as_the_rfc_says(endpoint: Endpoint) -> None:
    assert client(endpoint).ask(None) == TokenAnswer(Secret("tok-1"), HOUR)
    assert endpoint.forms == [{"grant_type": "client_credentials", "scope": "orders", "audience": "a"}]
    (said,) = endpoint.authorization
    assert said is not None
    assert base64.b64decode(said.removeprefix("Basic ")) == b"my+client:s3cr3t%2F%2B%3A"


def test_client_credentials_go_into_the_body_where_a_vendor_wants_that(endpoint: Endpoint) -> None:
    client(endpoint, auth=ClientAuth.BODY).ask(None)
    assert endpoint.authorization == [None]
    (form,) = endpoint.forms
    assert (form["client_id"], form["client_secret"]) == ("my client", "s3cr3t/+:")


def test_credentials_may_be_a_source_of_a_model(endpoint: Endpoint) -> None:
    class Account(BaseModel):
        client_id: str
        client_secret: SecretStr

    class Source:
        def get(self) -> Account:
            return Account(client_id="me", client_secret=SecretStr("s3cr3t"))

    ClientCredentials(token_url=endpoint.url, credentials=Source(), auth=ClientAuth.BODY).ask(None)
    assert (endpoint.forms[0]["client_id"], endpoint.forms[0]["client_secret"]) == ("me", "s3cr3t")


def test_the_newest_refresh_token_is_used_and_the_next_one_handed_on(endpoint: Endpoint) -> None:
    endpoint.body = b'{"access_token": "tok-1", "expires_in": 3600, "refresh_token": "next"}'
    grant = RefreshToken(token_url=endpoint.url, credentials=lambda: CREDENTIALS)
    assert grant.ask(None).refresh_token == Secret("next")
    grant.ask(Secret("newest"))
    assert [form["refresh_token"] for form in endpoint.forms] == ["first-refresh", "newest"]
    assert not grant.is_repeatable
    assert RefreshToken(token_url=endpoint.url, credentials=dict, rotates=False).is_repeatable


@pytest.mark.parametrize(
    ("status", "final"),
    [(400, True), (401, True), (403, True), (404, True), (408, False), (429, False), (503, False)],
)
def test_a_refusal_says_whether_asking_again_can_help(endpoint: Endpoint, status: int, final: bool) -> None:
    endpoint.status, endpoint.body = status, b'{"error": "invalid_client", "error_description": "s3cr3t"}'
    with pytest.raises(TokenRefusedError, match=f"{status} invalid_client$") as refused:
        client(endpoint).ask(None)
    assert refused.value.final is final


@pytest.mark.parametrize("status", [500, 502, 504])
def test_after_an_error_of_the_vendor_nobody_knows_whether_a_token_was_issued(
    endpoint: Endpoint, status: int
) -> None:
    endpoint.status = status
    with pytest.raises(RetryableError, match=str(status)):
        client(endpoint).ask(None)


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("3600", HOUR),
        ("9" * 30, timedelta(days=365)),
        ("Wed, 21 Oct 2015 07:28:00 GMT", timedelta(0)),
        ("soon", None),
    ],
)
def test_a_pause_that_is_asked_for_is_handed_on(
    endpoint: Endpoint, said: str, wait: timedelta | None
) -> None:
    endpoint.status, endpoint.headers = 429, {"Retry-After": said}
    with pytest.raises(TokenRefusedError) as refused:
        client(endpoint).ask(None)
    assert refused.value.retry_after == wait


def test_redirects_are_not_followed(endpoint: Endpoint) -> None:
    endpoint.status, endpoint.headers = 307, {"Location": endpoint.url + "/elsewhere"}
    with pytest.raises(TokenRefusedError, match="not followed"):
        client(endpoint).ask(None)
    assert len(endpoint.forms) == 1


def test_a_vendor_that_is_not_there_has_issued_nothing(endpoint: Endpoint) -> None:
    grant = ClientCredentials(token_url="http://127.0.0.1:1/token", credentials=lambda: CREDENTIALS)
    with pytest.raises(TokenRefusedError, match="cannot be reached: ConnectError"):
        grant.ask(None)


def test_a_vendor_that_does_not_answer_is_not_waited_for(endpoint: Endpoint) -> None:
    endpoint.silent = True
    grant = ClientCredentials(
        token_url=endpoint.url, credentials=lambda: CREDENTIALS, timeout=timedelta(milliseconds=200)
    )
    with pytest.raises(RetryableError, match=r"no whole answer within 0\.\d+ s"):
        grant.ask(None)


def test_a_vendor_that_answers_a_byte_at_a_time_does_not_outlast_the_lease(endpoint: Endpoint) -> None:
    endpoint.drips = True
    grant = ClientCredentials(
        token_url=endpoint.url, credentials=lambda: CREDENTIALS, timeout=timedelta(seconds=0.3)
    )
    with pytest.raises(RetryableError, match=r"no whole answer within 0\.3 s"):
        grant.ask(None)


def test_an_answer_without_end_is_cut(endpoint: Endpoint) -> None:
    endpoint.body = b" " * 100_000
    with pytest.raises(RetryableError, match="too long"):
        client(endpoint).ask(None)


def test_a_success_without_a_token_is_an_error(endpoint: Endpoint) -> None:
    endpoint.body = json.dumps({"token_type": "Bearer", "expires_in": 3600}).encode()
    with pytest.raises(TransientError, match="no access_token"):
        client(endpoint).ask(None)


def test_no_error_repeats_what_the_vendor_wrote_or_was_sent(endpoint: Endpoint) -> None:
    for status in (200, 400, 401, 500):
        endpoint.status, endpoint.body = status, b'{"error": "s3cr3t of yours", "access_token": 7}'
        with pytest.raises(TransientError) as refused:
            client(endpoint).ask(None)
        assert "s3cr3t" not in f"{refused.value} {refused.value!r} {refused.value.__cause__}"


@pytest.mark.parametrize("given", [{}, {"client_id": "x"}, {"client_id": "x", "client_secret": ""}])
def test_without_credentials_nobody_is_asked(endpoint: Endpoint, given: dict[str, str]) -> None:
    with pytest.raises(TokenRefusedError, match="hold no 'client_"):
        ClientCredentials(token_url=endpoint.url, credentials=lambda: given).ask(None)
    assert endpoint.forms == []


@pytest.mark.parametrize(
    "error", [LookupError("no secret 'shop'"), PermanentError("sealed with another key")]
)
def test_credentials_that_cannot_be_had_are_a_refusal(endpoint: Endpoint, error: Exception) -> None:
    def fail() -> dict[str, str]:
        raise error

    with pytest.raises(TokenRefusedError, match="no credentials") as refused:
        ClientCredentials(token_url=endpoint.url, credentials=fail).ask(None)
    assert refused.value.final


def test_an_endpoint_needs_a_url() -> None:
    with pytest.raises(DeclarationError, match="no URL"):
        ClientCredentials(token_url="shop.example/token", credentials=dict)


def test_a_grant_shows_no_credentials(endpoint: Endpoint) -> None:
    grant = ClientCredentials(
        token_url=endpoint.url, credentials=lambda: CREDENTIALS, extra={"key": "s3cr3t"}
    )
    assert "s3cr3t" not in repr(grant)


@pytest.mark.parametrize("life", [3600, HOUR])
def test_any_function_is_a_grant(life: float | timedelta) -> None:
    assert CallableGrant(lambda: ("tok-1", life)).ask(None) == TokenAnswer(Secret("tok-1"), HOUR)
    assert CallableGrant(lambda: TokenAnswer(Secret("tok-1"), HOUR)).ask(None).expires_in == HOUR
