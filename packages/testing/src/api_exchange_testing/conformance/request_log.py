"""What every `RequestLog` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from api_exchange_core.domain.erasure import Erasure, Subject
from api_exchange_core.domain.idempotency import RequestKey
from api_exchange_core.domain.names import FunctionName, TenantId
from api_exchange_core.domain.retention import Expiry, Kept
from api_exchange_core.ports.erasure import Eraser
from api_exchange_core.ports.request_log import RequestLog, Standing
from api_exchange_core.ports.retention import RetentionStore
from api_exchange_testing.conformance._samples import FUNCTION, NOW, OTHER_TENANT, TENANT
from api_exchange_testing.conformance._threads import all_at_once, persistently
from api_exchange_testing.conformance.suite import Suite

ConnectRequestLog = Callable[[], RequestLog]
"""Gives another client of the same store, as another process would have it."""

_HELD = timedelta(seconds=10)


def request_key(
    key: str = "key",
    *,
    body: bytes = b"{}",
    tenant: TenantId = TENANT,
    function: FunctionName = FUNCTION,
) -> RequestKey:
    """The key of a client's request."""
    return RequestKey.of_client(tenant, function, key, query={}, body=body)


class RequestLogSuite(Suite):
    """Needs a fixture `connect_request_log` that returns a `ConnectRequestLog` on an empty store.

    Its tenants are ``customer-a`` and ``customer-b``. Fixtures `retention` and `eraser` are those of the same store.
    """

    @pytest.fixture
    def log(self, connect_request_log: ConnectRequestLog) -> RequestLog:
        """The client that writes."""
        return connect_request_log()

    @pytest.fixture
    def elsewhere(self, connect_request_log: ConnectRequestLog) -> RequestLog:
        """Another client, which knows nothing that the first one only remembers."""
        return connect_request_log()

    def test_what_nobody_has_seen_is_taken_in_by_whoever_asks(self, log: RequestLog) -> None:
        assert _reserve(log, request_key()) is Standing.OURS

    def test_while_one_is_at_it_all_others_are_told_so(self, log: RequestLog, elsewhere: RequestLog) -> None:
        _reserve(log, request_key())
        assert (
            _reserve(elsewhere, request_key(), after=_HELD - timedelta(microseconds=1)) is Standing.UNDER_WAY
        )
        assert _reserve(log, request_key()) is Standing.UNDER_WAY

    def test_one_who_has_had_its_time_is_followed_by_one_other(
        self, log: RequestLog, elsewhere: RequestLog
    ) -> None:
        _reserve(log, request_key())
        assert _reserve(elsewhere, request_key(), after=_HELD) is Standing.OURS
        assert _reserve(log, request_key(), after=_HELD) is Standing.UNDER_WAY

    def test_what_was_taken_in_stays_so_however_late_it_comes_again(
        self, log: RequestLog, elsewhere: RequestLog
    ) -> None:
        _reserve(log, request_key())
        log.complete(request_key())
        for days in (0, 1, 1_000):
            assert _reserve(elsewhere, request_key(), after=timedelta(days=days)) is Standing.TAKEN_IN

    def test_one_who_is_late_finds_noted_what_its_successor_did(
        self, log: RequestLog, elsewhere: RequestLog
    ) -> None:
        _reserve(log, request_key())
        _reserve(elsewhere, request_key(), after=_HELD)
        elsewhere.complete(request_key())
        log.complete(request_key())
        assert _reserve(elsewhere, request_key()) is Standing.TAKEN_IN

    @pytest.mark.parametrize("is_complete", [False, True])
    @pytest.mark.parametrize("after", [timedelta(0), 2 * _HELD])
    def test_a_key_that_comes_with_something_else_is_another_request(
        self, log: RequestLog, elsewhere: RequestLog, is_complete: bool, after: timedelta
    ) -> None:
        _reserve(log, request_key())
        if is_complete:
            log.complete(request_key())
        assert _reserve(elsewhere, request_key(body=b"[]"), after=after) is Standing.OTHER

    def test_what_is_another_request_changes_nothing(self, log: RequestLog, elsewhere: RequestLog) -> None:
        _reserve(log, request_key())
        _reserve(elsewhere, request_key(body=b"[]"), after=2 * _HELD)
        assert _reserve(log, request_key(), after=_HELD) is Standing.OURS

    @pytest.mark.parametrize(
        "other",
        [
            request_key(tenant=OTHER_TENANT),
            request_key(function=FunctionName("another")),
            request_key("another"),
        ],
        ids=["tenant", "function", "key"],
    )
    def test_a_request_is_known_by_tenant_function_and_key_together(
        self, log: RequestLog, elsewhere: RequestLog, other: RequestKey
    ) -> None:
        known = replace(other, fingerprint=request_key().fingerprint)
        for one in (request_key(), known):
            assert _reserve(log, one) is Standing.OURS
        log.complete(request_key())
        assert _reserve(elsewhere, known) is Standing.UNDER_WAY

    def test_what_was_never_reserved_is_not_noted(self, log: RequestLog, elsewhere: RequestLog) -> None:
        log.complete(request_key())
        assert _reserve(elsewhere, request_key()) is Standing.OURS

    def test_of_many_that_ask_at_once_one_takes_it_in(self, connect_request_log: ConnectRequestLog) -> None:
        def ask(_: int) -> Standing:
            log = connect_request_log()
            return persistently(lambda: _reserve(log, request_key()))

        answers = all_at_once(ask)
        assert sorted(answers) == [Standing.OURS] + [Standing.UNDER_WAY] * (len(answers) - 1)

    def test_of_many_that_follow_one_takes_over(
        self, log: RequestLog, connect_request_log: ConnectRequestLog
    ) -> None:
        def ask(_: int) -> Standing:
            successor = connect_request_log()
            return persistently(lambda: _reserve(successor, request_key(), after=_HELD))

        _reserve(log, request_key())
        answers = all_at_once(ask)
        assert sorted(answers) == [Standing.OURS] + [Standing.UNDER_WAY] * (len(answers) - 1)

    def test_what_came_long_ago_is_forgotten_and_what_came_since_is_not(
        self, log: RequestLog, elsewhere: RequestLog, retention: RetentionStore
    ) -> None:
        for number in range(5):
            for tenant in (TENANT, OTHER_TENANT):
                _reserve(log, request_key(f"old-{number}", tenant=tenant))
                _reserve(log, request_key(f"new-{number}", tenant=tenant), after=_HELD)
                log.complete(request_key(f"old-{number}", tenant=tenant))
        expiry = Expiry(Kept.REQUESTS, before=NOW + _HELD)
        assert [_purged(retention, expiry, dry_run=dry_run) for dry_run in (True, False, False)] == [
            10,
            10,
            0,
        ]
        assert _reserve(elsewhere, request_key("old-0")) is Standing.OURS
        assert _reserve(elsewhere, request_key("new-0")) is Standing.UNDER_WAY

    def test_of_an_erased_tenant_nothing_is_remembered(
        self, log: RequestLog, elsewhere: RequestLog, eraser: Eraser
    ) -> None:
        for tenant in (TENANT, OTHER_TENANT):
            _reserve(log, request_key(tenant=tenant))
        erasure = Erasure(
            id="record-1", tenant_id=TENANT, entity_proof=None, requested_by="operator", started_at=NOW
        )
        eraser.begin(erasure)
        subject = Subject(TENANT)
        assert eraser.held(subject) == {"requests": 1}
        for part in eraser.parts(subject):
            eraser.remove(subject, part, erasure_id=erasure.id, limit=10)
        assert eraser.held(subject) == {}
        assert _reserve(elsewhere, request_key(tenant=OTHER_TENANT)) is Standing.UNDER_WAY


def _purged(retention: RetentionStore, expiry: Expiry, *, dry_run: bool) -> int:
    removed, place = 0, None
    while True:
        step = retention.purge(expiry, after=place, limit=4, dry_run=dry_run)
        removed, place = removed + step.expired, step.next
        if place is None:
            return removed


def _reserve(log: RequestLog, request: RequestKey, *, after: timedelta = timedelta(0)) -> Standing:
    return log.reserve(request, now=NOW + after, until=NOW + after + _HELD)
