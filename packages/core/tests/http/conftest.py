"""An API that a test answers for, on a clock that jumps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from typing_extensions import override

from api_exchange_core import Exchange, tenant_context
from api_exchange_core.adapters.http.token_auth import TokenSource
from api_exchange_core.application.services import Services
from api_exchange_core.domain.deadline import NO_DEADLINE, Deadline
from api_exchange_core.http import ApiClient
from api_exchange_testing import InMemoryContainer, VirtualClock, in_memory_container

TENANT = "customer-a"
SECRET = "a-secret-that-nothing-shows"

Answer = httpx.Response | httpx.HTTPError | Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeApi(httpx.BaseTransport):
    """Answers what it is told to, one after the other, the last one again and again."""

    clock: VirtualClock
    answers: list[Answer] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._start = self.clock.now()

    @override
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(
            httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
        )
        self.times.append((self.clock.now() - self._start).total_seconds())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, httpx.HTTPError):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer(request)


@dataclass
class Tokens(TokenSource):
    """Gives a new token whenever one was given up."""

    number: int = 1
    given_up: list[str] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)

    @override
    def get_valid_token(self, *, operation: str) -> tuple[str, str]:
        self.operations.append(operation)
        return f"{SECRET}-{self.number}", f"id-{self.number}"

    @override
    def invalidate(self, token_id: str) -> None:
        self.given_up.append(token_id)
        self.number += 1


@pytest.fixture
def container() -> InMemoryContainer:
    return in_memory_container(Exchange("shop", tenants=[TENANT, "customer-b"]))


@pytest.fixture
def services(container: InMemoryContainer) -> Services:
    found: Services = container.use_cases.services()
    return found


@pytest.fixture
def clock(container: InMemoryContainer) -> VirtualClock:
    return container.clock()


@pytest.fixture
def deadline() -> Deadline:
    return NO_DEADLINE


@pytest.fixture(autouse=True)
def _at_work(services: Services, deadline: Deadline) -> Iterator[None]:
    with services.at_work(deadline), tenant_context(TENANT):
        yield


@pytest.fixture
def api(clock: VirtualClock) -> FakeApi:
    return FakeApi(clock)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def client(api: FakeApi, tokens: Tokens) -> ApiClient:
    return client_of(api, tokens=tokens)


def client_of(api: httpx.BaseTransport, **options: Any) -> ApiClient:
    given: dict[str, Any] = {"name": "shop", "base_url": "https://shop.example/v1/", "transport": api}
    return ApiClient(**(given | options))


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)
