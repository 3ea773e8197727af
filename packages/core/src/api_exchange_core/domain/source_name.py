"""Names of sources, and of the slices of a backfill, which are extracted beside the source itself.

A slice has a checkpoint of its own, under a key that says which part of time it is:
``orders@2026-01-01T00:00:00Z/2026-01-02T00:00:00Z``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from api_exchange_core.domain.errors import DeclarationError

MAX_SOURCE: Final = 128
"""Longest name of a source, in characters; a slice's key is at most 255, as wide as its column."""

_SLICE: Final = "@"
_TO: Final = "/"


@dataclass(frozen=True, slots=True)
class Window:
    """A part of time, by the source's own clock; None is open.

    Args:
        since: the first moment of it, aware.
        until: the first moment after it, aware.

    Raises:
        DeclarationError: a moment is not aware, or it ends before it has begun.
    """

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        for moment in (self.since, self.until):
            if moment is not None and moment.utcoffset() is None:
                raise DeclarationError(f"{moment!r} says no time zone: use an aware datetime")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise DeclarationError(f"a window from {self.since} to {self.until} holds no time")

    def holds(self, moment: datetime) -> bool:
        """Whether *moment* lies in it. Of windows that follow each other each moment is in one."""
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)


ALWAYS: Final = Window()
"""All the time there is."""


def source_name(value: str) -> str:
    """Check that *value* names a source: 1 to `MAX_SOURCE` printable characters, none of them an ``@``.

    Raises:
        DeclarationError: it does not.
    """
    fits = isinstance(value, str) and 0 < len(value) <= MAX_SOURCE and value.isprintable()
    if not fits or _SLICE in value:
        raise DeclarationError(
            f"{value!r} names no source: use 1 to {MAX_SOURCE} printable characters, and no {_SLICE!r}"
        )
    return value


def slice_key(source: str, since: datetime, until: datetime) -> str:
    """The key of a slice of *source*.

    Raises:
        DeclarationError: the times make no window.
    """
    Window(since, until)
    return f"{source_name(source)}{_SLICE}{_written(since)}{_TO}{_written(until)}"


def source_of(key: str) -> str:
    """The source that *key* is of: itself, or the one that it is a slice of."""
    return key.partition(_SLICE)[0]


def is_slice(key: str) -> bool:
    """Whether *key* is that of a slice."""
    return _SLICE in key


def window_of(key: str) -> Window:
    """The part of time that *key* is of; all of it, if it is no slice.

    Raises:
        DeclarationError: it is the key of nothing.
    """
    if not is_slice(key):
        return ALWAYS
    since, _, until = key.partition(_SLICE)[2].partition(_TO)
    try:
        return Window(datetime.fromisoformat(since), datetime.fromisoformat(until))
    except ValueError as error:
        raise DeclarationError(f"{key!r} is no slice of a source: {error}") from error


def slices(window: Window, length: timedelta, *, most: int) -> list[Window]:
    """*window* in parts of *length*, the last one shorter if it does not come out even.

    Args:
        window: closed at both ends.
        length: more than nothing; on days on which a zone changes its clocks as long as on others.
        most: as many parts are refused.

    Raises:
        DeclarationError: the window is open, the length is none, or there would be too many.
    """
    since, until = window.since, window.until
    if since is None or until is None or length <= timedelta(0):
        raise DeclarationError(f"{window} cannot be cut into slices of {length}")
    # Within one zone Python reckons by the clock on the wall, which skips an hour in spring.
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    number = -((since - until) // length)
    if number > most:
        raise DeclarationError(
            f"that would be {number:,} slices, and {most:,} is the most: take longer slices, or a part of the time"
        )
    starts = [since + place * length for place in range(number)]
    return [Window(start, min(start + length, until)) for start in starts]


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
