"""Which requests are the same one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.idempotency import LONGEST_KEY, RequestKey, idempotency_key
from api_exchange_core.domain.names import FunctionName, TenantId

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=LONGEST_KEY)
A, INTAKE = TenantId("customer-a"), FunctionName("intake")


@given(VISIBLE)
def test_a_key_is_the_same_in_quotes_and_bare(key: str) -> None:
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    assert idempotency_key(f'"{quoted}"') == key
    if not set(key) & set('",;'):
        assert idempotency_key(key) == key


def test_the_example_of_the_draft_is_a_key() -> None:
    key = "8e03978e-40d5-43dd-bc93-6894a57f9324"
    assert idempotency_key(f'"{key}"') == idempotency_key(key) == key


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        '""',
        "a" * (LONGEST_KEY + 1),
        '"' + "a" * (LONGEST_KEY + 1) + '"',
        '"' + '\\"' * 999 + '"',
        "a, b",
        '"a", "b"',
        '"a";v=1',
        '"a',
        'a"b',
        "a b",
        "a\x00",
        "größe",
        '"größe"',
        "\udcff",
        '"a\\b"',
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(wrong: str) -> None:
    with pytest.raises(ValueError, match="1 to 255 visible") as raised:
        idempotency_key(wrong)
    assert len(str(raised.value)) < 200


def key(body: bytes = b"{}", query: dict[str, str] | None = None, name: str = "key") -> RequestKey:
    return RequestKey.of_client(A, INTAKE, name, query={} if query is None else query, body=body)


def test_the_same_request_becomes_the_same_message() -> None:
    assert key().message_id == key().message_id
    assert key(query={"a": "1", "b": "2"}) == key(query={"b": "2", "a": "1"})


def test_requests_that_differ_in_anything_become_different_messages() -> None:
    others = [
        key(),
        key(b"[]"),
        key(b"{}", {"a": "1"}),
        key(b"{}", {"a1": ""}),
        key(name="another"),
        RequestKey.of_client(TenantId("customer-b"), INTAKE, "key", query={}, body=b"{}"),
        RequestKey.of_client(A, FunctionName("another"), "key", query={}, body=b"{}"),
        RequestKey.of_delivery(A, INTAKE, "key"),
        RequestKey.of_delivery(A, INTAKE, "another"),
    ]
    assert len({one.message_id for one in others}) == len(others)


@given(st.binary(max_size=20), st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2))
def test_a_key_holds_nothing_of_what_it_is_made_of(body: bytes, query: dict[str, str]) -> None:
    made = key(body, query, "secret-looking-key")
    assert {len(made.key), len(made.fingerprint)} == {64}
    assert "secret-looking" not in repr(made)
