"""How the shop knows its clients: OAuth 2.0 client credentials (RFC 6749, section 4.4) for opaque tokens."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import parse_qs, unquote_plus

from typing_extensions import override

MAX_FORM_FIELDS = 20


class Credentials(NamedTuple):
    """What one account signs in with; its repr keeps the secret to itself."""

    client_id: str
    client_secret: str

    @override
    def __repr__(self) -> str:
        return f"Credentials(client_id={self.client_id!r}, client_secret=...)"


class TokenRefusedError(Exception):
    """An error answer of the token endpoint (RFC 6749, section 5.2); *code* is one of the RFC's."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(code, description)
        self.code = code
        self.description = description


class TokenIssuer:
    """Makes tokens that expire, and knows whose they are.

    Args:
        lifetime: how long a token is good for, to the second.
        clock: seconds that only grow.
    """

    def __init__(self, *, lifetime: timedelta, clock: Callable[[], float]) -> None:
        self.lifetime = lifetime
        self._clock = clock
        self._issued: dict[str, tuple[str, float]] = {}

    def issue(self, tenant: str) -> str:
        """A new token for *tenant*; those before it stay valid until they expire."""
        token = secrets.token_urlsafe(32)
        self._issued[token] = (tenant, self._clock() + self.lifetime.total_seconds())
        return token

    def revoke(self, tenant: str) -> None:
        """Take back all tokens of *tenant*."""
        self._issued = {token: issued for token, issued in self._issued.items() if issued[0] != tenant}

    def tenant_of(self, token: str) -> str | None:
        """Whose token it is; None if it is unknown or expired."""
        tenant, expires_at = self._issued.get(token, (None, 0.0))
        return tenant if self._clock() < expires_at else None


def signed_in_tenant(
    accounts: Mapping[str, Credentials], *, authorization: str | None, content_type: str | None, body: bytes
) -> str:
    """The tenant whose credentials a token request carries, in a Basic header or in its form.

    Raises:
        TokenRefusedError: malformed, another grant than client credentials, or wrong credentials.
    """
    form = _form(content_type, body)
    _require_client_credentials_grant(form)
    offered = _offered_credentials(authorization, form)
    for tenant, credentials in accounts.items():
        if _same(offered, credentials):
            return tenant
    raise TokenRefusedError("invalid_client", "The client id or the client secret is wrong.")


def _form(content_type: str | None, body: bytes) -> dict[str, str]:
    if (content_type or "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise TokenRefusedError("invalid_request", "The body must be application/x-www-form-urlencoded.")
    try:
        fields = parse_qs(body.decode("utf-8"), strict_parsing=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError as error:
        raise TokenRefusedError("invalid_request", "The form cannot be read.") from error
    if any(len(values) > 1 for values in fields.values()):
        raise TokenRefusedError("invalid_request", "A parameter is given twice.")
    return {name: values[0] for name, values in fields.items()}


def _require_client_credentials_grant(form: Mapping[str, str]) -> None:
    if "grant_type" not in form:
        raise TokenRefusedError("invalid_request", "The parameter grant_type is missing.")
    if form["grant_type"] != "client_credentials":
        raise TokenRefusedError("unsupported_grant_type", "This endpoint grants client_credentials only.")


def _offered_credentials(authorization: str | None, form: Mapping[str, str]) -> Credentials:
    if authorization is None:
        return Credentials(form.get("client_id", ""), form.get("client_secret", ""))
    if "client_secret" in form:
        raise TokenRefusedError("invalid_request", "The client signs in twice, by header and by form.")
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise TokenRefusedError("invalid_client", "The Authorization header is not of scheme Basic.")
    try:
        client_id, _, client_secret = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise TokenRefusedError("invalid_client", "The Basic credentials cannot be read.") from error
    # RFC 6749, section 2.3.1: both are form-encoded before they are joined.
    return Credentials(unquote_plus(client_id), unquote_plus(client_secret))


def _same(offered: Credentials, known: Credentials) -> bool:
    same_id = hmac.compare_digest(offered.client_id.encode(), known.client_id.encode())
    same_secret = hmac.compare_digest(offered.client_secret.encode(), known.client_secret.encode())
    return same_id and same_secret
