from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.redaction import REDACTED, is_secret_name, may_hold_secret, redacted

CANARY = "Xk29canary77Qz"

SECRET_TEXTS = [
    f"postgresql://shop:{CANARY}@db.example/shop",
    f"cannot connect to postgresql+psycopg://shop:{CANARY}@/w@db.example:5432/shop?sslmode=require",
    f"https://{CANARY}@github.com/acme/shop.git",
    f"amqp://guest:{CANARY}@rabbit",
    f"GET https://api.example/orders?api_key={CANARY}&page=2 answered 401",
    f"https://acme.blob.core.windows.net/c/f?sv=2024&sig={CANARY}%3D",
    f"Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey={CANARY}=",
    f"DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={CANARY}==;EndpointSuffix=core.windows.net",
    f"Server=db;User Id=sa;Password={CANARY};Encrypt=yes",
    f"Authorization: Bearer {CANARY}",
    f"Authorization: ApiKey {CANARY}",
    f"headers={{'authorization': 'Basic {CANARY}', 'accept': '*/*'}}",
    f'{{"client_secret": "{CANARY} with \\" a quote", "grant_type": "client_credentials"}}',
    f"{{'password': '{CANARY}'}}",
    f"{{b'password': b'{CANARY}'}}",
    f"Set-Cookie: session={CANARY}; HttpOnly",
    f"PGPASSWORD={CANARY} pg_dump",
    f"refresh_token={CANARY}",
    f"accessToken: {CANARY}",
    f"environ['DB_PASSWORD']={CANARY}",
    f"login with bearer {CANARY}",
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0{CANARY}.c2lnbmF0dXJl",
    f"push with ghp_{CANARY}abcdefghijkl failed",
    f"xoxb-1234567890-{CANARY}",
    f"sk_live_{CANARY}",
    f"shpat_{CANARY}abcdefghijkl",
    f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{CANARY}",
    f"[SQL: INSERT INTO orders VALUES (?, ?)]\n[parameters: ('1', '{CANARY}')]",
    f"1 validation error for Order\nid\n  Input should be [type=int, input_value='{CANARY}', input_type=str]",
]


@pytest.mark.parametrize("text", SECRET_TEXTS)
def test_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    assert CANARY not in redacted(text)
    assert REDACTED in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the shop answered 503",
        "https://api.example:8443/orders?page=2",
        "TokenError: the token has expired",
        "no secret is configured for this tenant",
        "ssh://host/path and https://host/a:b",
        "token_id=42 and key 'orders/7'",
        "basic checks passed",
        "mail to someone@example.org",
        "unbekannter Schlüssel: größe",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert redacted(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    text = f"POST https://bob:{CANARY}@shop.example/orders?token={CANARY}&page=2 answered 500"
    assert (
        redacted(text) == f"POST https://{REDACTED}@shop.example/orders?token={REDACTED}&page=2 answered 500"
    )


@given(st.text(max_size=300))
def test_a_text_without_a_hint_would_not_have_been_changed(text: str) -> None:
    # The quick look must never say no to what a rule would change.
    from api_exchange_core.domain import redaction

    changed = text
    for pattern, replacement in redaction._RULES:
        changed = pattern.sub(replacement, changed)
    assert may_hold_secret(text) or changed == text


@pytest.mark.parametrize("text", SECRET_TEXTS)
def test_a_text_that_is_redacted_stays_as_it_is_when_it_is_redacted_again(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize(
    "character", ["a", "://", "eyJ", "password", "=", "'", "-----BEGIN ", "[parameters: ", ":"]
)
def test_no_text_takes_long(character: str) -> None:
    import time

    began = time.perf_counter()
    redacted(character * 8_000 + "://password=")
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "PGPASSWORD",
        "clientSecret",
        "access_token",
        "refreshToken",
        "X-API-Key",
        "apikey",
        "Authorization",
        "proxy-authorization",
        "Cookie",
        "set-cookie",
        "connection_string",
        "ConnectionString",
        "private_key",
        "AccountKey",
        "credentials",
    ],
)
def test_a_name_says_that_it_is_a_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "event",
        "message_id",
        "token_id",
        "tokenId",
        "token_count",
        "token_type",
        "secret_name",
        "tokenUrl",
        "key",
        "paid",
    ],
)
def test_a_name_that_only_tells_of_a_secret_is_none(name: str) -> None:
    assert not is_secret_name(name)


def test_further_names_can_be_secrets() -> None:
    assert not is_secret_name("customer_iban")
    assert is_secret_name("customer_iban", frozenset({"iban"}))
