"""When an API is to be asked again, as its answers say in their headers.

Read are ``Retry-After`` (RFC 9110, section 10.2.3); ``RateLimit`` and ``RateLimit-Policy`` in the form of lists
(draft-ietf-httpapi-ratelimit-headers-10) and in that of a dictionary (-07); ``RateLimit-Remaining`` and
``RateLimit-Reset`` (-03), also with the prefixes ``X-RateLimit-`` and ``X-Rate-Limit-`` that came before them, whose
times are seconds from now with some APIs, since 1970 with others, and milliseconds with a few.

What cannot be read, is negative, or is longer than `LONGEST_WAIT` counts as not said: no API means a year.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Final

from api_exchange_core.domain.errors import LONGEST_WAIT
from api_exchange_core.domain.structured_fields import BareItem, Member, members

Headers = Mapping[str, str]
"""The headers of an answer; names in lower case find them."""

_PREFIXES: Final = ("ratelimit-", "x-ratelimit-", "x-rate-limit-")
_TOLD_BY: Final = ("ratelimit", "x-ratelimit-", "x-rate-limit-")
"""How the names of all headers begin that an answer says it by which was given."""
_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_SINCE_1970: Final = 1_000_000_000
"""From so many seconds on (31 years) a number is a time of the calendar, not a wait."""
_MILLISECONDS: Final = 100_000_000_000
"""From so many seconds on (the year 5138) it is milliseconds."""


def told_wait(headers: Headers, *, now: datetime, refused: bool) -> timedelta | None:
    """How long the API asks to be left alone; None if it does not.

    A time of the calendar is taken against the answer's own ``Date``, so the clocks of both sides need not agree.

    Args:
        headers: of the answer.
        now: when it came, aware UTC.
        refused: the request was turned down for now (429, 503). An answer that was given asks for a wait only where it
            says that nothing is left.
    """
    if not refused and not any(name.lower().startswith(_TOLD_BY) for name in headers):
        return None
    sent_at = _date(headers.get("date", "")) or now
    if refused:
        asked = _from_now(headers.get("retry-after", ""), sent_at)
        if asked is not None:
            return asked
    waits = [*_listed(headers, refused), *_prefixed(headers, sent_at, refused)]
    return max(waits, default=None)


def _listed(headers: Headers, refused: bool) -> Iterator[timedelta]:
    """What `RateLimit` says, of each quota."""
    quotas = _members(headers.get("ratelimit", ""))
    if any(quota.name == "remaining" for quota in quotas):
        values = {quota.name: quota.value for quota in quotas}
        yield from _if_used_up(values.get("remaining"), _seconds(values.get("reset")), refused)
        return
    windows = {one.name: one.parameters.get("w") for one in _members(headers.get("ratelimit-policy", ""))}
    for quota in quotas:
        reset = _seconds(quota.parameters.get("t", windows.get(quota.name)))
        # Among several quotas the one that is used up says so.
        yield from _if_used_up(quota.parameters.get("r"), reset, refused and len(quotas) == 1)


def _prefixed(headers: Headers, sent_at: datetime, refused: bool) -> Iterator[timedelta]:
    for prefix in _PREFIXES:
        left = headers.get(f"{prefix}remaining", "").strip()
        reset = _from_now(headers.get(f"{prefix}reset-after", ""), sent_at)
        if reset is None:
            reset = _from_now(headers.get(f"{prefix}reset", ""), sent_at)
        yield from _if_used_up(Decimal(left) if _NUMBER.fullmatch(left) else None, reset, refused)


def _if_used_up(left: BareItem | None, reset: timedelta | None, refused: bool) -> Iterator[timedelta]:
    is_told = isinstance(left, int | Decimal) and not isinstance(left, bool)
    if reset is not None and ((is_told and left == 0) or (refused and not is_told)):
        yield reset


def _from_now(text: str, sent_at: datetime) -> timedelta | None:
    """A wait in seconds, or what is left until a time: an HTTP-date, or a number that counts from 1970."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        at = _date(text)
        return None if at is None else _wait((at - sent_at).total_seconds())
    number = float(text)
    if number >= _MILLISECONDS:
        number /= 1_000
    return _wait(number - sent_at.timestamp() if number >= _SINCE_1970 else number)


def _seconds(value: BareItem | None) -> timedelta | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
        return None
    return _wait(float(value))


def _wait(seconds: float) -> timedelta | None:
    """What is over is no wait; what is longer than any wait was not meant."""
    return None if seconds > LONGEST_WAIT.total_seconds() else timedelta(seconds=max(seconds, 0.0))


def _date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
        return at.replace(tzinfo=UTC) if at.utcoffset() is None else at.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):  # whatever the parts of the text lead it to
        return None


def _members(field: str) -> list[Member]:
    try:
        return list(members(field))
    except ValueError:
        return []
