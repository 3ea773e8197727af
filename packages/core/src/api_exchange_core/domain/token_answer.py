"""What a token endpoint answers, checked before anybody relies on it.

RFC 6749, section 5.1: ``access_token`` and ``token_type`` are required, ``expires_in`` (seconds) is recommended.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.secret import Secret

LONGEST_LIFE: Final = timedelta(days=365)
"""A token that lives longer is asked for anew after that; some vendors answer a hundred years."""

UNSAID_LIFE: Final = timedelta(minutes=5)
"""How long a token is used whose answer does not say how long it lives."""

_SENDABLE: Final = re.compile(r"[\x21-\x7e]+")
"""What an Authorization header takes: visible ASCII, without the line ends that would begin another header."""

_PRESENTABLE: Final = re.compile(r"[\x20-\x7e]+")
"""What a refresh token is made of (RFC 6749, appendix A.17). It is a field of a form, which takes spaces."""


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A token as a vendor has just issued it.

    Args:
        token: the access token.
        expires_in: how long it is valid, from the moment that it was asked for; at most `LONGEST_LIFE` counts.
        refresh_token: what the next one is asked for with, if the vendor has given a new one.
        is_said: whether *expires_in* is what the vendor says; else it is a guess, and the token may live longer.

    Raises:
        TransientError: it is no token that can be sent, or it has expired already. The vendor may do better next time.
    """

    token: Secret
    expires_in: timedelta
    refresh_token: Secret | None = None
    is_said: bool = True

    def __post_init__(self) -> None:
        if _SENDABLE.fullmatch(self.token.reveal()) is None:
            raise TransientError("the token answer holds a token with characters that no header can carry")
        if self.refresh_token is not None and _PRESENTABLE.fullmatch(self.refresh_token.reveal()) is None:
            raise TransientError("the token answer holds a refresh token with characters that none can have")
        if self.expires_in <= timedelta(0):
            raise TransientError(
                "the token answer holds a token that has expired already: expires_in is not above zero"
            )
        if self.expires_in > LONGEST_LIFE:
            object.__setattr__(self, "expires_in", LONGEST_LIFE)

    @classmethod
    def of(
        cls,
        token: object,
        expires_in: object = None,
        refresh_token: object = None,
        *,
        unsaid: timedelta = UNSAID_LIFE,
    ) -> Self:
        """The answer with these values, as JSON or somebody's own function gives them.

        Args:
            token: a text.
            expires_in: a timedelta, or seconds as a number or a text; None if the vendor does not say.
            refresh_token: a text, or None.
            unsaid: how long it lives if the vendor does not say.

        Raises:
            TransientError: a value is none of these; the error says which, and not what it was.
        """
        is_said = expires_in is not None
        life = _life(expires_in) if is_said else unsaid
        return cls(_secret(token, "access_token"), life, _optional(refresh_token), is_said)


def read_answer(body: bytes, *, unsaid: timedelta = UNSAID_LIFE) -> TokenAnswer:
    """The token in the JSON *body* of a successful answer.

    Args:
        body: as it was received.
        unsaid: how long a token lives whose answer does not say.

    Raises:
        TransientError: there is no token of type Bearer in it. The error holds nothing of the body.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise TransientError("the token answer is not JSON") from None
    if not isinstance(answer, dict):
        raise TransientError("the token answer is no JSON object")
    kind = answer.get("token_type")
    if kind is not None and (not isinstance(kind, str) or kind.lower() != "bearer"):
        raise TransientError("the token answer has a token_type other than Bearer: it cannot be sent as one")
    return TokenAnswer.of(
        answer.get("access_token"), answer.get("expires_in"), answer.get("refresh_token"), unsaid=unsaid
    )


def _secret(value: object, name: str) -> Secret:
    if not isinstance(value, str) or not value:
        raise TransientError(f"the token answer has no {name} that is a text")
    return Secret(value)


def _optional(value: object) -> Secret | None:
    # Some vendors that give none say so with an empty text. What came with it may have cost the one before.
    return None if value is None or value == "" else _secret(value, "refresh_token")


def _life(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    seconds = _number(value)
    if seconds is None or math.isnan(seconds):
        raise TransientError("the token answer has an expires_in that is no number of seconds")
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST_LIFE.total_seconds()))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf if isinstance(value, int) and value > 0 else -math.inf
    except ValueError:
        return None
