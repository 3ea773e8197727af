"""The trip of one request to its answer: waits, tries and what was learnt. Does no I/O: clients carry its steps out."""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Final

import httpx

from api_exchange_core.adapters.http.answers import (
    asked,
    failure_of,
    had_no_effect,
    is_for_now,
    is_repeatable,
    is_turned_down,
    no_answer,
)
from api_exchange_core.adapters.http.body import time_left
from api_exchange_core.application.call import loggable
from api_exchange_core.application.services import Services, current_deadline, current_services
from api_exchange_core.domain.deadline import Deadline
from api_exchange_core.domain.errors import (
    LONGEST_WAIT,
    DeferError,
    ExchangeError,
    RetryableError,
    TransientError,
)
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.rate_limit_headers import told_wait
from api_exchange_core.domain.tenant import current_tenant
from api_exchange_core.http.api import Api, is_same_origin

_MOST_REDIRECTS: Final = 5
_SOON: Final = timedelta(seconds=1)
"""Less than this before its end a call begins no request."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Let *time* pass."""

    time: timedelta


@dataclass(frozen=True, slots=True)
class Send:
    """Send *request*, and read its answer until *until*."""

    request: httpx.Request
    until: datetime


Step = Wait | Send
Steps = Generator[Step, httpx.Response | None, httpx.Response]
"""Is sent the answer to a `Send`, or has httpx's error thrown into it."""


@dataclass(slots=True)
class Trip:
    """One request of the tenant at work.

    Args:
        api: that it goes to.
        request: as it is first sent.
        accept: statuses that are answers like any other, besides the successes.
    """

    api: Api
    request: httpx.Request
    accept: Collection[int] = ()
    _services: Services = field(default_factory=current_services)
    _deadline: Deadline = field(default_factory=current_deadline)
    _tenant_id: TenantId = field(default_factory=current_tenant)
    _waited: timedelta = timedelta(0)
    _redirects: int = 0

    def steps(self) -> Steps:
        """What to do, one after the other.

        Raises:
            RetryableError: the API cannot answer for now.
            DeferError: it, or the budget, asks for a wait that is too long for this call.
            PermanentError: it refuses.
        """
        for number in count(1):
            yield from self._let_through()
            outcome = yield from self._sent()
            if isinstance(outcome, httpx.Response):
                return outcome
            failure, may_repeat = outcome
            if not may_repeat or number >= self.api.limits.tries:
                raise failure
            yield from self._wait(self._pause(failure, number), otherwise=failure)
        raise AssertionError  # count() does not end

    def _sent(
        self,
    ) -> Generator[Step, httpx.Response | None, httpx.Response | tuple[ExchangeError, bool]]:
        """The answer, or what it failed with and whether to try again."""
        while True:
            try:
                response = yield self._send()
            except httpx.HTTPError as error:
                return self._failed(no_answer(self.request, error), had_no_effect(error))
            assert response is not None  # noqa: S101 - what a Send is answered with
            wait = self._learn(response)
            if response.is_success or response.status_code in self.accept:
                return response
            if not self._is_redirected(response):
                return self._failed(failure_of(response, wait), had_no_effect(response))
            yield from self._let_through()

    def _failed(self, failure: ExchangeError, had_no_effect: bool) -> tuple[ExchangeError, bool]:
        return failure, is_for_now(failure) and (had_no_effect or is_repeatable(self.request))

    def _send(self) -> Send:
        limits, now = self.api.limits, self._services.clock.now()
        left = time_left(self._deadline.at, now=now, most=limits.whole)
        if self._deadline.is_within(_SOON, now=now):
            raise DeferError(
                f"{asked(self.request)}: this call is about to end; the next one asks", delay=_SOON
            )
        read, connect = (min(time, left).total_seconds() for time in (limits.read, limits.connect))
        timeout = httpx.Timeout(read, connect=connect)
        self.request.extensions = {**self.request.extensions, "timeout": timeout.as_dict()}
        return Send(self.request, now + left)

    def _let_through(self) -> Generator[Step, httpx.Response | None, None]:
        """Wait for the budget, and for what the API has asked for in other calls."""
        while True:
            again_at = self._services.budgets.take(self._tenant_id, api=self.api.name, budget=self.api.budget)
            if again_at is None:
                return
            time = max(again_at - self._services.clock.now(), timedelta(0))
            text = f"{asked(self.request)}: tenant {self._tenant_id!r} may ask API {self.api.name!r} again in {time}"
            yield from self._wait(time, otherwise=DeferError(text, delay=min(time, LONGEST_WAIT)))

    def _learn(self, response: httpx.Response) -> timedelta | None:
        """What the answer asks for, which holds for all calls of this tenant to this API."""
        now = self._services.clock.now()
        wait = (
            told_wait(response.headers, now=now, refused=is_turned_down(response)) or None
        )  # none is no wait
        if wait is not None:
            self._close(now + wait)
        return wait

    def _close(self, until: datetime) -> None:
        """An answer that has come is worth more than that other instances hear of a wait: this one knows it."""
        name, budget = self.api.name, self.api.budget
        try:
            self._services.budgets.close(self._tenant_id, api=name, until=until, budget=budget)
        except TransientError as error:
            facts = {"api": name, "tenant_id": self._tenant_id, **loggable(error)}
            self._services.observer.event("budget.unreachable", **facts)

    def _pause(self, failure: ExchangeError, number: int) -> timedelta:
        if isinstance(failure, DeferError):
            return failure.delay
        if isinstance(failure, RetryableError) and failure.retry_after is not None:
            return failure.retry_after
        longest: timedelta = self.api.limits.first_pause * 2 ** (number - 1)
        return longest * self._services.randomness.fraction()

    def _wait(self, time: timedelta, *, otherwise: ExchangeError) -> Generator[Wait, None, None]:
        """Let *time* pass, or raise *otherwise* if there is not so much."""
        now = self._services.clock.now()
        if self._waited + time > self.api.limits.patience or self._deadline.is_within(time + _SOON, now=now):
            raise otherwise
        self._waited += time
        yield Wait(time)

    def _is_redirected(self, response: httpx.Response) -> bool:
        """Whether the request now goes elsewhere, which is never to another host."""
        if not response.has_redirect_location or self.request.method not in ("GET", "HEAD"):
            return False
        try:
            url = self.request.url.join(response.headers["location"])
        except httpx.InvalidURL:
            return False
        if self._redirects >= _MOST_REDIRECTS or not is_same_origin(url, self.request.url):
            return False
        self._redirects += 1
        was = self.request
        self.request = httpx.Request(
            was.method, url, headers=was.headers, stream=was.stream, extensions=was.extensions
        )
        return True
