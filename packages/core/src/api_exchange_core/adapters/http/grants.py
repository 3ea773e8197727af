"""OAuth 2.0 grants (RFC 6749)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol
from urllib.parse import quote_plus

from pydantic import SecretStr
from typing_extensions import override

from api_exchange_core.adapters.http.token_endpoint import TokenEndpoint
from api_exchange_core.domain.errors import DeclarationError, ExchangeError, TransientError
from api_exchange_core.domain.secret import Secret
from api_exchange_core.domain.token_answer import UNSAID_LIFE, TokenAnswer
from api_exchange_core.ports.token_grant import TokenGrant, TokenRefusedError


class CredentialSource(Protocol):
    """Has the credentials of the current tenant, as `ApiCredentials` does."""

    def get(self) -> object:
        """Something with the attributes `client_id` and `client_secret`, and `refresh_token` where one is needed.

        Each is a text or a `pydantic.SecretStr`.
        """


Credentials = CredentialSource | Callable[[], Mapping[str, str]]
"""A source of credentials, or a function that gives them by name.

Asked for each exchange, so that what was changed counts at once.
"""


class ClientAuth(StrEnum):
    """How a client proves to be itself (RFC 6749, section 2.3.1)."""

    BASIC = "basic"
    """In the Authorization header, which every vendor that keeps to the RFC takes."""

    BODY = "body"
    """As fields of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _OAuthGrant(TokenGrant):
    """What the grants have in common.

    Args:
        token_url: the token endpoint.
        credentials: gives the client's.
        scope: what is asked for; None if the vendor decides.
        auth: how the client proves to be itself.
        extra: further fields that the vendor wants, such as ``audience``.
        timeout: for all of an exchange.
        unsaid: how long a token lives of which the vendor does not say it.
        trust_env: proxies and certificates are taken from the environment. By default they are not, as with
            `ApiClient`: the client's secret goes where the application says, and nowhere else.
    """

    token_url: str
    credentials: Credentials = field(repr=False)
    scope: str | None = None
    auth: ClientAuth = ClientAuth.BASIC
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: timedelta = timedelta(seconds=10)
    unsaid: timedelta = UNSAID_LIFE
    trust_env: bool = False

    def __post_init__(self) -> None:
        if not self.token_url.startswith(("https://", "http://")):
            raise DeclarationError(
                f"{self.token_url!r} is no URL of a token endpoint: it begins with https://"
            )

    def _given(self) -> object:
        """The credentials. Without them nobody is asked, so nothing is used up."""
        try:
            return self.credentials() if callable(self.credentials) else self.credentials.get()
        except (ExchangeError, LookupError) as error:
            raise TokenRefusedError(
                f"there are no credentials: {error}", final=not isinstance(error, TransientError)
            ) from error

    def _exchange(self, form: Mapping[str, str], given: object) -> TokenAnswer:
        client = (_of(given, "client_id"), _of(given, "client_secret"))
        fields = {**self.extra, **form} | ({} if self.scope is None else {"scope": self.scope})
        endpoint = TokenEndpoint(self.token_url, self.timeout, self.unsaid, self.trust_env)
        if self.auth is ClientAuth.BODY:
            return endpoint.exchange(
                {**fields, "client_id": client[0], "client_secret": client[1]}, basic=None
            )
        # RFC 6749 has both encoded as fields of a form before they become user and password.
        return endpoint.exchange(fields, basic=(quote_plus(client[0]), quote_plus(client[1])))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials(_OAuthGrant):
    """Tokens for the client itself (section 4.4). Asking twice does no harm."""

    @property
    @override
    def is_repeatable(self) -> bool:
        return True

    @override
    def ask(self, refresh_token: Secret | None) -> TokenAnswer:
        return self._exchange({"grant_type": "client_credentials"}, self._given())


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken(_OAuthGrant):
    """Tokens on behalf of somebody who has agreed to it once (section 6).

    The first exchange uses the ``refresh_token`` of the credentials. Of a vendor that gives a new one with each token,
    the newest is stored, sealed, with the token.

    Args:
        rotates: the vendor takes each refresh token once. An exchange that came to no known end then is not tried
            again, since that may make the vendor revoke everything: an operator decides.
    """

    rotates: bool = True

    @property
    @override
    def is_repeatable(self) -> bool:
        return not self.rotates

    @override
    def ask(self, refresh_token: Secret | None) -> TokenAnswer:
        given = self._given()
        newest = _of(given, "refresh_token") if refresh_token is None else refresh_token.reveal()
        return self._exchange({"grant_type": "refresh_token", "refresh_token": newest}, given)


def _of(given: object, name: str) -> str:
    value = given.get(name) if isinstance(given, Mapping) else getattr(given, name, None)
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or not text:
        raise TokenRefusedError(f"the credentials hold no {name!r}", final=True)
    return text
