"""One exchange with a token endpoint (RFC 6749, section 3.2)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from api_exchange_core.adapters.http.time_limit import TimeLimit
from api_exchange_core.domain.errors import LONGEST_WAIT, RetryableError
from api_exchange_core.domain.token_answer import TokenAnswer, read_answer
from api_exchange_core.ports.token_grant import TokenRefusedError

if TYPE_CHECKING:
    import httpx

_LONGEST_ANSWER: Final = 64 * 1024
_NOBODY_WAS_ASKED: Final = (429, 503)
"""Too many requests, and unavailable: the vendor says that it did not look at the request."""

_MAY_PASS: Final = (408, 425, 429, 503)
_ERROR_CODE: Final = re.compile(r"[a-z_]{3,40}")
"""RFC 6749, section 5.2: an ``error`` such as ``invalid_client``. What looks otherwise is not repeated anywhere."""


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Where a vendor issues tokens.

    Args:
        url: of the endpoint; redirects are not followed, since the credentials would go along.
        timeout: for all of an exchange.
        unsaid: how long a token lives of which the vendor does not say it.
        trust_env: as of `ApiClient`: a proxy of the machine is asked only if this says so, and never by default.
    """

    url: str
    timeout: timedelta
    unsaid: timedelta
    trust_env: bool = False

    def exchange(self, form: Mapping[str, str], *, basic: tuple[str, str] | None) -> TokenAnswer:
        """Send *form* and read the token that is answered.

        Args:
            form: the fields of the request.
            basic: client id and secret, if they go into the Authorization header.

        Raises:
            TokenRefusedError: none was issued; the vendor says so, or could not be reached at all.
            RetryableError: whether one was issued is not known.
            TransientError: the answer holds no token.
        """
        import httpx

        limit = TimeLimit(self.timeout)
        try:
            with (
                limit,
                httpx.Client(
                    timeout=self.timeout.total_seconds(), follow_redirects=False, trust_env=self.trust_env
                ) as client,
                client.stream(
                    "POST",
                    self.url,
                    data=dict(form),
                    auth=basic,
                    headers={"Accept": "application/json"},
                    extensions={"trace": limit.trace},
                ) as response,
            ):
                body = _body(response)
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.UnsupportedProtocol,
            httpx.InvalidURL,
        ) as error:
            # From None: texts of httpx repeat addresses, and a request would be within reach of whoever prints it.
            raise TokenRefusedError(f"the token endpoint cannot be reached: {type(error).__name__}") from None
        except httpx.HTTPError as error:
            if limit.is_over or isinstance(error, httpx.TimeoutException):
                seconds = self.timeout.total_seconds()
                raise RetryableError(
                    f"the token endpoint gave no whole answer within {seconds:g} s"
                ) from None
            raise RetryableError(f"the token endpoint gave no answer: {type(error).__name__}") from None
        if response.status_code == httpx.codes.OK:
            return read_answer(body, unsaid=self.unsaid)
        raise _refusal(response, body)


def _body(response: httpx.Response) -> bytes:
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > _LONGEST_ANSWER:
            raise RetryableError("the token endpoint's answer is too long")
    return body


def _refusal(response: httpx.Response, body: bytes) -> Exception:
    status = response.status_code
    said = f"the token endpoint answered {status}{_error_code(body)}"
    if response.is_client_error or status in _NOBODY_WAS_ASKED:
        return TokenRefusedError(said, retry_after=_retry_after(response), final=status not in _MAY_PASS)
    if response.is_redirect:
        return TokenRefusedError(
            f"{said}: redirects are not followed, so name the endpoint itself", final=True
        )
    return RetryableError(said)


def _error_code(body: bytes) -> str:
    with suppress(ValueError, RecursionError):
        answer = json.loads(body)
        code = answer.get("error") if isinstance(answer, dict) else None
        if isinstance(code, str) and _ERROR_CODE.fullmatch(code):
            return f" {code}"
    return ""


def _retry_after(response: httpx.Response) -> timedelta | None:
    """RFC 9110, section 10.2.3: seconds or a date."""
    said = response.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return (
            timedelta(seconds=min(int(said), LONGEST_WAIT.total_seconds()))
            if len(said) < 12
            else LONGEST_WAIT
        )
    with suppress(ValueError, TypeError):
        at = parsedate_to_datetime(said)
        wait = at - datetime.now(UTC) if at.tzinfo is not None else timedelta(0)
        return min(max(wait, timedelta(0)), LONGEST_WAIT)
    return None
