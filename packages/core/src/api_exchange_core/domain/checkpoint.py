"""How far the extraction of a source has come for a tenant.

A checkpoint is written in the transaction of what it stands for, and only over the version that its writer has read.
So its version is a fence as well: whoever takes the source over writes first, and what the one before still has in
hand finds another version and is not written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from pydantic_core import to_json

from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.json_value import JsonValue, json_value
from api_exchange_core.domain.source_name import ALWAYS, Window

MAX_CURSOR: Final = 16 * 1024
"""Largest cursor, in bytes of JSON: it says where to go on, and holds no records."""

SOURCE_KEY: Final = "api-exchange-source"
RUN_KEY: Final = "api-exchange-run"
MARKS: Final = frozenset({SOURCE_KEY, RUN_KEY})
"""Metadata by which a message belongs to the run of a source. They do not pass on to what it sends."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a message is to do for sources.

    Args:
        key: the one source, or slice, that it is for; None is any, as for a tick.
        run: the run that it goes on with; None begins one.
    """

    key: str | None = None
    run: str | None = None

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> Assignment:
        """What the metadata of a message say."""
        return cls(metadata.get(SOURCE_KEY), metadata.get(RUN_KEY))

    @property
    def metadata(self) -> dict[str, str]:
        """What the metadata of such a message say."""
        said = {SOURCE_KEY: self.key, RUN_KEY: self.run}
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Sighting:
    """The newest version of a record that was taken.

    Args:
        at: when the source says that the record changed.
        digest: of its content.
    """

    at: datetime
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One extraction, from its first page to its last.

    Args:
        id: that of the message that began it.
        queue: where its messages go.
        started_at: when it began.
        window: which part of the source's time it asks for.
        pages: how many were taken.
        records: how many records these held, without those that were known.
        highest: the newest moment that a record has named, of those before it began.
        mark: digest of a cursor that it has passed, to notice when it comes by again.
        finished_at: when its last page was taken; None while there is more.
    """

    id: str
    queue: str
    started_at: datetime
    window: Window = ALWAYS
    pages: int = 0
    records: int = 0
    highest: datetime | None = None
    mark: str | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a source stands for a tenant.

    Args:
        source: its name, or the key of a slice.
        version: counts the writes; 0 is not stored yet.
        cursor: where to go on; JSON, None at the beginning.
        watermark: up to when, by the source's clock, all changes are known.
        seen: records that were taken near the watermark, by digests of their ids.
        run: the newest one.
        runner: id of the only message that may go on with it, until `leased_until`.
        leased_until: when anybody may.
        updated_at: when it was written.

    Raises:
        PermanentError: the cursor is too large.
    """

    source: str
    version: int = 0
    cursor: JsonValue = field(default=None, repr=False)
    watermark: datetime | None = None
    seen: Mapping[str, Sighting] = field(default_factory=dict, repr=False)
    run: Run | None = None
    runner: str | None = None
    leased_until: datetime | None = None
    updated_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.cursor is not None:
            size = len(to_json(self.cursor))
            if size > MAX_CURSOR:
                raise PermanentError(
                    f"the cursor of source {self.source!r} has {size:,} bytes as JSON, and {MAX_CURSOR:,} is the most: "
                    "keep where to go on, and no records"
                )

    @property
    def is_running(self) -> bool:
        """Whether a run has begun and has not come to its end."""
        return self.run is not None and self.run.finished_at is None

    def may_claim(self, message_id: str, assignment: Assignment, *, now: datetime) -> bool:
        """Whether a message may begin a run here or go on with the one that there is.

        Only its own next message goes on with a run while its lease stands. Once that has run out any message that
        may begin runs takes the run over, where it stands.
        """
        if assignment.run is not None:
            mine = self.run is not None and self.run.id == assignment.run
            return self.is_running and mine and self.runner == message_id
        return (
            not self.is_running
            or self.runner == message_id
            or self.leased_until is None
            or self.leased_until <= now
        )

    def claimed(
        self, message_id: str, *, queue: str, window: Window, now: datetime, lease: timedelta
    ) -> Checkpoint:
        """With a message as its runner, in the run that there is or, if that is over, in a new one."""
        begun = Run(id=message_id, queue=queue, started_at=now, window=window)
        return replace(
            self,
            version=self.version + 1,
            run=self.run if self.is_running else begun,
            runner=message_id,
            leased_until=now + lease,
            updated_at=now,
        )

    def saved(self, cursor: object, *, now: datetime, watermark: datetime | None) -> Checkpoint:
        """With another cursor, and if it is given another watermark, and nothing else changed.

        Raises:
            UnrepresentableError: the cursor has no JSON form.
            PermanentError: it is too large.
        """
        return replace(
            self,
            version=self.version + 1,
            cursor=json_value(cursor),
            watermark=self.watermark if watermark is None else watermark,
            updated_at=now,
        )

    def emptied(self, *, now: datetime) -> Checkpoint:
        """At the beginning again. Whoever is running it cannot write any more."""
        return Checkpoint(source=self.source, version=self.version + 1, updated_at=now)
