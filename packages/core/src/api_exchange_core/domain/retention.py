"""How long the journal, errors, versions and the request log are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.output import MAX_DELAY

LONGEST_IN_QUEUE: Final = timedelta(days=14)
"""How long a copy of a message may lie in a queue: as long as SQS keeps one at most (SetQueueAttributes,
MessageRetentionPeriod), which is more than the longest delay of an output, `MAX_DELAY`."""

SHORTEST_JOURNAL: Final = max(LONGEST_IN_QUEUE, MAX_DELAY) + timedelta(days=1)
"""A journal entry is how a second copy of its message is known: it stays a day longer than a copy can wait."""


class Kept(StrEnum):
    """What is kept for a time."""

    JOURNAL = "journal"
    ERRORS = "errors"
    VERSIONS = "versions"
    REQUESTS = "requests"


@dataclass(frozen=True, slots=True)
class Expiry:
    """Which rows may go.

    Args:
        kept: of what.
        before: those that are older.
        beyond: of each entity, those that have so many newer versions; for `Kept.VERSIONS`. Both must hold, if
            both are given. An entity's current version never goes, and no version goes before an older one.
    """

    kept: Kept
    before: datetime | None = None
    beyond: int | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """How long an exchange keeps what it writes down. Heads of entities, dead letters and erasure records stay.

    Args:
        journal: what was processed. Once an entry is gone its message is no longer known as a duplicate, so this is
            at least `SHORTEST_JOURNAL`.
        errors: failed attempts; as long as the journal if it is None, and no longer, since the journal says which
            entity an error was about.
        versions: the history of entities; None keeps all of it.
        last_versions: so many versions of each entity stay, however old they are; None sets no number. With
            neither, all versions stay.
        requests: which requests were taken in. Once one is gone, its repetition still has the same message id, and is
            absorbed for as long as the journal knows that.

    Raises:
        DeclarationError: a value out of range.
    """

    journal: timedelta = timedelta(days=90)
    errors: timedelta | None = None
    versions: timedelta | None = None
    last_versions: int | None = None
    requests: timedelta = timedelta(days=7)

    def __post_init__(self) -> None:
        _check_span("journal", self.journal, SHORTEST_JOURNAL, "a copy of a message may come so late")
        if self.errors is not None:
            _check_span("errors", self.errors, timedelta(days=1), "attempts go on for hours")
            if self.errors > self.journal:
                raise DeclarationError(
                    f"retention: errors cannot be kept for {self.errors}, longer than the journal, {self.journal}: it "
                    "says which entity an error was about"
                )
        if self.versions is not None:
            _check_span("versions", self.versions, timedelta(days=1), "somebody may be reading them")
        _check_span("requests", self.requests, timedelta(days=1), "senders try again for hours")
        if self.last_versions is not None and (type(self.last_versions) is not int or self.last_versions < 1):
            raise DeclarationError(
                f"retention: last_versions is a whole number from 1, not {self.last_versions!r}"
            )

    def expiries(self, now: datetime) -> list[Expiry]:
        """What may go at *now*."""
        expiries = [
            Expiry(Kept.ERRORS, before=now - (self.journal if self.errors is None else self.errors)),
            Expiry(Kept.JOURNAL, before=now - self.journal),
        ]
        if self.versions is not None or self.last_versions is not None:
            before = None if self.versions is None else now - self.versions
            expiries.append(Expiry(Kept.VERSIONS, before=before, beyond=self.last_versions))
        return [*expiries, Expiry(Kept.REQUESTS, before=now - self.requests)]

    def check_covers(self, wait: timedelta, what: str) -> None:
        """Return if the journal is kept a day longer than *wait*, which *what* may take.

        Raises:
            DeclarationError: it is not.
        """
        if self.journal < wait + timedelta(days=1):
            raise DeclarationError(
                f"retention: the journal is kept for {self.journal}, and {what} may wait for {wait}: keep it a day "
                "longer than that, or a late copy of a message would not be known as one"
            )


def _check_span(name: str, value: object, shortest: timedelta, why: str) -> None:
    if not isinstance(value, timedelta) or value < shortest:
        raise DeclarationError(
            f"retention: {name} is a timedelta of at least {shortest.days} days, since {why}; not {value!r}"
        )
