"""Requests as a trigger hands them over, and how they are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from api_exchange_core.domain.errors import PermanentError


class Refusal(StrEnum):
    """Why a request is not taken in; every HTTP trigger maps these to status codes in the same way."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    UNREADABLE = "unreadable"
    UNDER_WAY = "under_way"
    UNSUPPORTED = "unsupported"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"

    @property
    def status(self) -> int:
        """The HTTP status code (RFC 9110, section 15.5; of TOO_MANY RFC 6585, section 4)."""
        return _STATUS[self]


_STATUS = {
    Refusal.UNAUTHENTICATED: 401,
    Refusal.FORBIDDEN: 403,
    Refusal.UNREADABLE: 400,
    Refusal.UNDER_WAY: 409,
    Refusal.UNSUPPORTED: 415,
    Refusal.INVALID: 422,
    Refusal.TOO_LARGE: 413,
    Refusal.TOO_MANY: 429,
}


class RequestRefusedError(PermanentError):
    """The request is not taken in, and nothing was stored.

    Args:
        refusal: why.
        detail: the same for the caller to read.
        headers: what the answer says besides.
    """

    def __init__(self, refusal: Refusal, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.headers: Mapping[str, str] = {} if headers is None else headers


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as its trigger hands it over.

    Args:
        headers: names in lower case; of a header that is given twice, both with a comma between (RFC 9110, 5.3).
        query: the parameters; of a parameter that is given twice, the last.
        body: the bytes as they came, before anybody parses them.
        tenant: what stands in the path in place of ``{tenant}``, unproven.
    """

    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    tenant: str | None = None
