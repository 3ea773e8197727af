"""Taking what changed since the last time, by the source's own times.

All times are the source's own. Ours only bounds them: a watermark never passes the moment at which its run began. So
one record from the year 2099, or a source whose clock is ahead, hides nothing and only has more read again; nor does a
feed that is not in the order of its changes hide what changes on a page that the run has behind it, as long as the
source's clock is not further behind ours than the lag. What the source makes visible late, with a time that lies before
what was read already, is found as long as it is not later than the lag; what the lag has the source send again is known
by id and content, and not taken twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, Generic, TypeVar

from api_exchange_core.domain.checkpoint import Checkpoint, Run, Sighting
from api_exchange_core.domain.errors import DeclarationError, PermanentError
from api_exchange_core.domain.source_name import Window

Item = TypeVar("Item")

_DIGITS: Final = 16
_MAX_REMEMBER: Final = 10_000
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)

Digest = Callable[[object], str]
"""Hashes the content of a record."""


@dataclass(frozen=True)
class Taken(Generic[Item]):
    """What a page came to.

    Args:
        items: the records that are new.
        highest: the newest moment, of those before the run began, that it has named by now.
        seen: what is known near it.
    """

    items: Sequence[Item]
    highest: datetime | None
    seen: Mapping[str, Sighting]


# No slots: with them `Watermark[...](...)` fails on Python 3.11, which sets __orig_class__ on what is frozen.
@dataclass(frozen=True, kw_only=True)
class Watermark(Generic[Item]):
    """Each run asks for what changed since the newest change of the last run, less the lag.

    Args:
        at: when a record changed: the name of its field, or a function; an aware datetime, or a text in ISO 8601
            with an offset.
        id: what identifies a record: the name of its field, or a function.
        lag: how late the source may make a change visible.
        start: where the first run begins; None takes all that there is.
        remember: how many records near the watermark are known by id, at most. What is forgotten is read again, and
            is not a new version of its entity if it has not changed.

    Raises:
        DeclarationError: the lag is negative, `start` is not aware, or `remember` is no number from 0 to 10,000.
    """

    at: str | Callable[[Item], datetime | str]
    id: str | Callable[[Item], object]
    lag: timedelta = timedelta(minutes=5)
    start: datetime | None = None
    remember: int = 500

    def __post_init__(self) -> None:
        Window(self.start)
        if not isinstance(self.lag, timedelta) or self.lag < timedelta(0):
            raise DeclarationError(f"a watermark's lag is a timedelta from zero on, not {self.lag!r}")
        if type(self.remember) is not int or not 0 <= self.remember <= _MAX_REMEMBER:
            raise DeclarationError(
                f"a watermark remembers 0 to {_MAX_REMEMBER:,} records, not {self.remember!r}"
            )

    def next_window(self, checkpoint: Checkpoint) -> Window:
        """What the next run asks for."""
        if checkpoint.watermark is None:
            return Window(self.start)
        return Window(_before(checkpoint.watermark, self.lag))

    def take(
        self, items: Sequence[Item], *, run: Run, seen: Mapping[str, Sighting], digest: Digest
    ) -> Taken[Item]:
        """What of a page is new.

        Args:
            items: its records.
            run: which the page is of. Records outside of its window are left to the run of theirs, if it has an end.
            seen: what is known.
            digest: hashes a record.

        Raises:
            PermanentError: a record says no time, or none that can be read, or no id.
        """
        known = dict(seen)
        fresh: list[Item] = []
        highest = run.highest
        for item in items:
            at = self._moment(item)
            if run.window.until is not None and not run.window.holds(at):
                continue
            key, sighting = _short(repr(self._read(self.id, item))), Sighting(at, _short(digest(item)))
            if at <= run.started_at and (highest is None or at > highest):
                highest = at
            if known.get(key) != sighting:
                known[key] = sighting
                fresh.append(item)
        return Taken(fresh, highest, self._near(highest, run.window.since, known))

    def _near(
        self, highest: datetime | None, since: datetime | None, known: Mapping[str, Sighting]
    ) -> Mapping[str, Sighting]:
        """Those that can be sent again, by later pages of this run or by the next one; if too many, the newest."""
        oldest = None if highest is None else _before(highest, self.lag)
        if oldest is not None and since is not None:
            oldest = min(oldest, since)
        near = [(key, sighting) for key, sighting in known.items() if oldest is None or sighting.at >= oldest]
        near.sort(key=lambda one: one[1].at, reverse=True)
        return dict(near[: self.remember])

    def _moment(self, item: Item) -> datetime:
        value = self._read(self.at, item)
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            moment = None
        if not isinstance(moment, datetime) or moment.utcoffset() is None:
            raise PermanentError(
                f"a record says at {self.at!r} when it changed, with a {type(value).__name__} that is no time with an "
                "offset: pass Watermark(at=...) a function that makes an aware datetime of it"
            )
        return _in_utc(moment)

    def _read(self, what: str | Callable[[Item], object], item: Item) -> object:
        if callable(what):
            return what(item)
        try:
            return item[what] if isinstance(item, Mapping) else getattr(item, what)
        except (KeyError, AttributeError):
            raise PermanentError(
                f"a record of type {type(item).__name__} has no {what!r}, which its watermark is read from"
            ) from None


def _before(moment: datetime, time: timedelta) -> datetime | None:
    """*moment* less *time*; None if nothing is as early. Some sources say "never" with the first day of the year 1."""
    return None if moment - _FIRST < time else moment - time


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # by its offset it lies beyond the calendar
        return _FIRST if moment.year == 1 else _LAST


def _short(text: str) -> str:
    """Enough of a hash to tell the records near a watermark apart; no id of anybody is kept with it."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
