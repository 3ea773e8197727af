"""Reading answers: so many bytes of them at most, and not for ever."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import httpx

from api_exchange_core.adapters.http.answers import asked
from api_exchange_core.domain.errors import PermanentError, RetryableError
from api_exchange_core.ports.clock import Clock

ACCEPTED: Final = "gzip, deflate"
"""Codings that make at most a thousand bytes of one (zlib.net, "Maximum Compression Factor"). Others, and one in
another, make of one read of the socket more than there is memory, before a part of it can be counted."""

_UNPACKED: Final = frozenset({"gzip", "deflate", "br", "zstd"})
"""What httpx unpacks, with the packages for it. Any other coding it hands over as it came."""


class Body:
    """The body of an answer as it comes in, unpacked.

    Args:
        response: whose it is.
        max_bytes: more is refused as soon as it is more, unpacked. Until then the memory holds that much, and one read
            of the socket as unpacked (64 KiB, which gzip can have made of 64 MiB).
        clock: tells when it takes too long; a server that sends a byte a second meets every other timeout.
        until: when it does.

    Raises:
        PermanentError: the answer says that it is larger, or is packed in another way than `ACCEPTED`.
    """

    def __init__(self, response: httpx.Response, *, max_bytes: int, clock: Clock, until: datetime) -> None:
        self._response = response
        self._max_bytes = max_bytes
        self._clock = clock
        self._until = until
        self._parts = bytearray()
        self._check_coding()
        # RFC 9110, section 8.6: an answer to HEAD tells the length that one to GET would have.
        announced = "" if response.request.method == "HEAD" else response.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit() and int(announced) > max_bytes:
            raise self._too_large()

    def add(self, part: bytes) -> None:
        """Take the next part.

        Raises:
            PermanentError: it is too much.
            RetryableError: it takes too long.
        """
        self._parts += part
        if len(self._parts) > self._max_bytes:
            raise self._too_large()
        if self._clock.now() >= self._until:
            raise RetryableError(
                f"{asked(self._response.request)}: the answer did not come to its end in time"
            )

    def response(self) -> httpx.Response:
        """The answer with all of its body, as if it had come unpacked and in one piece."""
        was = self._response
        headers = [
            (name, value)
            for name, value in was.headers.multi_items()
            if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        whole = httpx.Response(
            was.status_code, headers=headers, content=bytes(self._parts), request=was.request
        )
        whole.default_encoding = was.default_encoding
        return whole

    def _check_coding(self) -> None:
        listed = self._response.headers.get("content-encoding", "").lower().split(",")
        packed = [coding for one in listed if (coding := one.strip()) in _UNPACKED]
        if len(packed) > 1 or not set(packed) <= set(ACCEPTED.split(", ")):
            raise PermanentError(
                f"{asked(self._response.request)}: the answer is packed in a way that was not asked for "
                f"({', '.join(packed)}); asked for was one of {ACCEPTED}"
            )

    def _too_large(self) -> PermanentError:
        return PermanentError(
            f"{asked(self._response.request)}: the answer has more than {self._max_bytes:,} bytes, which is max_bytes: "
            "ask for smaller pages, or raise it"
        )


def time_left(deadline: datetime | None, *, now: datetime, most: timedelta) -> timedelta:
    """How long a request may take: *most*, or what is left until *deadline*."""
    return most if deadline is None else min(most, deadline - now)
