"""One API, as a client is made for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from api_exchange_core.adapters.http.body import ACCEPTED
from api_exchange_core.adapters.http.token_auth import TokenAuth, TokenSource
from api_exchange_core.domain.budget import Budget
from api_exchange_core.domain.errors import DeclarationError, PermanentError
from api_exchange_core.domain.names import MAX_IDENTIFIER, TenantId
from api_exchange_core.domain.tenant import current_tenant
from api_exchange_core.http.limits import Limits

Params = Mapping[str, str | int | float | bool]
BaseUrl = str | Callable[[TenantId], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What there is to know of an API.

    Raises:
        DeclarationError: a name or an address that is none.
    """

    name: str
    base_url: BaseUrl = field(repr=False)
    auth: httpx.Auth | None
    budget: Budget | None
    limits: Limits

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= MAX_IDENTIFIER or not self.name.isprintable():
            raise DeclarationError(
                f"{self.name!r} is no name for an API: use 1 to {MAX_IDENTIFIER} printable characters"
            )
        if isinstance(self.base_url, str):
            _checked(self.base_url, self.name)

    def url(self, target: str, params: Params | None = None) -> httpx.URL:
        """Where *target* is: a path below the base URL, or a whole address on its host; *params* join its query.

        Raises:
            PermanentError: it is on another host, which must not get this one's credentials.
        """
        base = self._base()
        try:
            is_whole = "://" in target and httpx.URL(target).is_absolute_url
            whole = target if is_whole else f"{str(base).rstrip('/')}/{target.lstrip('/')}"
            # Most requests have a query in one place; to parse it along with the rest takes a third of the time.
            url = httpx.URL(whole) if "?" in whole or not params else httpx.URL(whole, params=params)
        except httpx.InvalidURL:
            raise PermanentError(f"API {self.name!r}: the address of a request is none") from None
        if not is_same_origin(url, base):
            raise PermanentError(
                f"API {self.name!r} is at {base.host!r}, and a request was to go to {url.host!r}: another host, "
                "scheme or port does not get its credentials; make a client of its own for it"
            )
        return url.copy_merge_params(params) if params and "?" in whole else url

    def _base(self) -> httpx.URL:
        given = self.base_url if isinstance(self.base_url, str) else self.base_url(current_tenant())
        return _checked(given, self.name)


def is_same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    """Whether both have the same scheme, host and port."""
    return (one.scheme, one.host, _port(one)) == (other.scheme, other.host, _port(other))


def auth_of(tokens: TokenSource | None, auth: httpx.Auth | None) -> httpx.Auth | None:
    """The one of the two that is given.

    Raises:
        DeclarationError: both are.
    """
    if tokens is not None and auth is not None:
        raise DeclarationError(
            "a client has tokens=... or auth=..., not both: TokenAuth(tokens, header=...) is the latter"
        )
    return auth if tokens is None else TokenAuth(tokens)


def headers_of(client: str, given: Mapping[str, str] | None) -> Mapping[str, str]:
    """The headers of all requests."""
    return {"User-Agent": f"api-exchange ({client})", "Accept-Encoding": ACCEPTED} | dict(given or {})


def no_cookies() -> CookieJar:
    """Takes none and keeps none: one client serves all tenants, and a session is one tenant's."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


@lru_cache(maxsize=1024)
def _checked(given: str, name: str) -> httpx.URL:
    try:
        url = httpx.URL(given)
    except httpx.InvalidURL:
        raise DeclarationError(f"API {name!r}: its base URL is no address") from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise DeclarationError(
            f"API {name!r}: its base URL is an http or https address with a host, and without user, query and fragment"
        )
    return url


def _port(url: httpx.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)
