"""What an HTTP function that takes webhooks is declared with, and what is refused there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core import (
    DeclarationError,
    Exchange,
    IntakeLimit,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    StandardWebhooks,
    TenantFromApiKey,
    TenantFromSignedField,
    TenantFromWebhook,
)
from api_exchange_core.domain.envelope import MAX_MESSAGE_BYTES
from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.http_path import HttpPath

BY_PATH = TenantFromWebhook(StandardWebhooks(), secrets="shop")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Take(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        raise AssertionError("not called")


def test_a_path_names_the_tenant_that_a_signature_proves() -> None:
    exchange = Exchange("shop")
    exchange.http("hooks", "/hooks/shop/{tenant}", Take, tenant=BY_PATH)
    exchange.http("others", "/hooks/{tenant}/carrier", Take, methods=["PUT"], tenant=BY_PATH)


@pytest.mark.parametrize(
    "path",
    [
        "/{customer}",
        "/{tenant}/{tenant}",
        "/a{tenant}",
        "/{tenant",
        "hooks/{tenant}",
        "/a//{tenant}",
        "/{tenant}/",
        7,
    ],
)
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(DeclarationError, match="is no HTTP path"):
        Exchange("shop").http("hooks", path, Take, tenant=BY_PATH)


def test_a_signature_needs_a_path_that_says_whose_it_is() -> None:
    with pytest.raises(DeclarationError, match=r"'/hooks/\{tenant\}'"):
        Exchange("shop").http("hooks", "/hooks", Take, tenant=BY_PATH)


def test_a_tenant_in_the_path_that_nothing_proves_is_refused() -> None:
    with pytest.raises(DeclarationError, match="API key in X-API-Key: leave it out"):
        Exchange("shop").http("hooks", "/hooks/{tenant}", Take, tenant=TenantFromApiKey())


def test_a_tenant_cannot_stand_where_the_server_answers_itself() -> None:
    with pytest.raises(DeclarationError, match="by the server itself"):
        Exchange("shop").http("hooks", "/{tenant}", Take, tenant=BY_PATH)


def test_two_paths_that_one_request_could_be_for_are_refused() -> None:
    exchange = Exchange("shop")
    exchange.http("hooks", "/hooks/{tenant}", Take, tenant=BY_PATH)
    with pytest.raises(DeclarationError, match=r"'/hooks/shop', as does '/hooks/\{tenant\}'"):
        exchange.http("status", "/hooks/shop", Take, tenant=TenantFromApiKey())
    exchange.http("read-status", "/hooks/shop", Take, methods=["GET"], tenant=TenantFromApiKey())


SEGMENT = st.sampled_from(["a", "b", "{tenant}"])
PATH = st.lists(SEGMENT, min_size=1, max_size=3).filter(lambda parts: parts.count("{tenant}") < 2)


@given(PATH, PATH)
def test_paths_meet_exactly_where_a_request_exists_that_is_for_both(one: list[str], other: list[str]) -> None:
    def filled(parts: list[str]) -> set[str]:
        return {"/".join(parts).replace("{tenant}", tenant) for tenant in "abc"}

    meets = HttpPath("/" + "/".join(one)).meets(HttpPath("/" + "/".join(other)))
    assert meets is bool(filled(one) & filled(other))


@pytest.mark.parametrize(
    "wrong",
    [
        {"scheme": "standard"},
        {"scheme": StandardWebhooks},
        {"secrets": ""},
        {"secrets": "Shop"},
        {"secrets": None},
        {"pointer": "account"},
        {"pointer": ""},
        {"tenants": {}},
    ],
)
def test_what_names_no_tenant_by_a_signed_field_is_refused(wrong: dict[str, Any]) -> None:
    right = {
        "scheme": StandardWebhooks(),
        "secrets": "shop",
        "pointer": "/account",
        "tenants": {"1": "customer-a"},
    }
    TenantFromSignedField(**right)  # type: ignore[arg-type]  # the values are of all kinds
    with pytest.raises(DeclarationError):
        TenantFromSignedField(**{**right, **wrong})
    with pytest.raises(TenantError):
        TenantFromSignedField(**{**right, "tenants": {"1": "customer a"}})  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    ("payload", "tenant"),
    [
        ({"account": {"id": "acct_1"}}, "customer-a"),
        ({"account": {"id": 17}}, "customer-b"),
        ({"account": {"id": "17"}}, "customer-b"),
        ({"account": {"id": "customer-a"}}, None),
        ({"account": {"id": True}}, None),
        ({"account": {"id": 17.0}}, None),
        ({"account": {"id": None}}, None),
        ({"account": {"id": ""}}, None),
        ({"account": ["acct_1"]}, None),
        ({"account": {}}, None),
        ([], None),
    ],
)
def test_a_signed_field_names_a_tenant_that_is_declared_or_none(payload: Any, tenant: str | None) -> None:
    source = TenantFromSignedField(
        StandardWebhooks(), "shop", "/account/id", {"acct_1": "customer-a", "17": "customer-b"}
    )
    assert source.tenant_in(payload) == tenant


@pytest.mark.parametrize("max_body", [0, -1, MAX_MESSAGE_BYTES + 1, True, 1.5])
def test_a_body_has_a_size_that_a_message_can_have(max_body: Any) -> None:
    with pytest.raises(DeclarationError, match="max_body"):
        Exchange("shop").http("hooks", "/hooks", Take, tenant=TenantFromApiKey(), max_body=max_body)


@pytest.mark.parametrize("limit", [0, True, 1.5])
def test_an_intake_limit_is_a_number_of_requests(limit: Any) -> None:
    with pytest.raises(DeclarationError, match="intake limit"):
        IntakeLimit(limit)
    with pytest.raises(DeclarationError, match="is no limit"):
        Exchange("shop").http("hooks", "/hooks", Take, tenant=TenantFromApiKey(), limit=limit)


@pytest.mark.parametrize("per", [timedelta(0), timedelta(days=2), 1])
def test_an_intake_limit_is_for_a_span(per: Any) -> None:
    with pytest.raises(DeclarationError, match="intake limit"):
        IntakeLimit(1, per=per)


@given(
    st.integers(1, 20),
    st.timedeltas(timedelta(milliseconds=1), timedelta(hours=1)),
    st.lists(st.timedeltas(timedelta(0), timedelta(minutes=10)), max_size=100),
)
def test_in_no_span_are_more_taken_in_than_twice_the_limit_and_whoever_waits_is_let_in(
    requests: int, per: timedelta, pauses: list[timedelta]
) -> None:
    limit, full_at, now, taken = IntakeLimit(requests, per=per), NOW, NOW, []
    for pause in pauses:
        now += pause
        answer = limit.after(full_at, now)
        if isinstance(answer, timedelta):
            assert timedelta(0) < answer <= per
            now += answer
            answer = limit.after(full_at, now)
            assert isinstance(answer, datetime)
        full_at = answer
        taken.append(now)
    for start in taken:
        assert sum(start <= one < start + per for one in taken) <= 2 * requests


def test_as_many_as_the_limit_says_are_let_in_at_once() -> None:
    limit, full_at = IntakeLimit(3, per=timedelta(seconds=3)), NOW
    for _ in range(3):
        answer = limit.after(full_at, NOW)
        assert isinstance(answer, datetime)
        full_at = answer
    assert limit.after(full_at, NOW) == timedelta(seconds=1)
