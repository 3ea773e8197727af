"""One call's part of the run of a source: what follows from each page that it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Generic, TypeVar

from pydantic_core import to_json

from api_exchange_core.domain.checkpoint import Assignment, Checkpoint, Run
from api_exchange_core.domain.checkpoint_desk import CheckpointDesk
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.identity import derived_message_id
from api_exchange_core.domain.intentions import HandOn, Intentions
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import FunctionName
from api_exchange_core.domain.page import Page, PageRequest
from api_exchange_core.domain.source_name import is_slice, source_of
from api_exchange_core.domain.watermark import Taken, Watermark

Item = TypeVar("Item")


@dataclass(slots=True)
class Extraction(Generic[Item]):
    """One call's part of a run.

    Args:
        function: that the call is of.
        desk: tells the time.
        intentions: of the call.
        lease: how long the run is left to the message that goes on with it.
        watermark: by which it goes.
        claimed: the checkpoint that the call began with.
        checkpoint: the one after the pages that it has taken.
        run: as it is after them.
    """

    function: FunctionName
    desk: CheckpointDesk
    intentions: Intentions
    lease: timedelta
    watermark: Watermark[Item] | None
    claimed: Checkpoint
    checkpoint: Checkpoint
    run: Run

    @property
    def name(self) -> str:
        """Of the source."""
        return source_of(self.claimed.source)

    @property
    def request(self) -> PageRequest:
        """The next page."""
        return PageRequest(self.checkpoint.cursor, self.run.window, self.run.pages + 1)

    @property
    def is_finished(self) -> bool:
        """Whether the run is over."""
        return self.run.finished_at is not None

    @property
    def pages_taken(self) -> int:
        """How many pages this call has taken."""
        return self.run.pages - (0 if self.claimed.run is None else self.claimed.run.pages)

    def taken(self, page: Page[Item]) -> Page[Item]:
        """The page without what is known already; intends what follows from it, as if it were the last of this call."""
        if not isinstance(page, Page):
            raise PermanentError(
                f"source {self.name!r}: fetch answers a Page(items, next_cursor), not a {type(page).__name__}"
            )
        now = self.desk.now()
        new = self._new(page)
        self._refuse_circle(page.next_cursor)
        self._advance(page, new, now)
        return replace(page, items=new.items)

    def _new(self, page: Page[Item]) -> Taken[Item]:
        seen = self.checkpoint.seen
        if self.watermark is None:
            return Taken(page.items, None, seen)
        hasher = self.intentions.hasher
        return self.watermark.take(
            page.items,
            run=self.run,
            seen=seen,
            digest=lambda item: hasher.hash(item, canonical_type=self.name),
        )

    def _advance(self, page: Page[Item], new: Taken[Item], now: datetime) -> None:
        is_last = page.next_cursor is None
        pages = self.run.pages + 1
        passes = page.next_cursor is not None and pages & (pages - 1) == 0
        self.run = replace(
            self.run,
            pages=pages,
            records=self.run.records + len(new.items),
            highest=new.highest,
            mark=_digest(page.next_cursor) if passes else self.run.mark,
            finished_at=now if is_last else None,
        )
        next_id = derived_message_id(
            "source",
            self.function,
            self.intentions.tenant_id,
            self.checkpoint.source,
            self.run.id,
            str(self.claimed.version + 1),
        )
        self.checkpoint = replace(
            self.claimed,
            version=self.claimed.version + 1,
            cursor=page.resume_at if is_last else page.next_cursor,
            watermark=self._watermark(new.highest) if is_last else self.claimed.watermark,
            seen=new.seen,
            run=self.run,
            runner=None if is_last else next_id,
            leased_until=None if is_last else now + self.lease,
            updated_at=now,
        )
        if is_last and is_slice(self.checkpoint.source):
            # Who orders it again wants all of it.
            self.checkpoint = replace(self.checkpoint, cursor=None, watermark=None, seen={})
        onward = None if is_last else HandOn(next_id, Assignment(self.checkpoint.source, self.run.id))
        self.intentions.advance(self.checkpoint, onward)

    def _watermark(self, highest: datetime | None) -> datetime | None:
        moments = (self.claimed.watermark, highest)
        return max((moment for moment in moments if moment is not None), default=None)

    def _refuse_circle(self, cursor: JsonValue) -> None:
        """Brent's: a cursor that is kept at each power of two comes by again, if the way leads in a circle."""
        if cursor is None:
            return
        if cursor == self.checkpoint.cursor or _digest(cursor) == self.run.mark:
            raise PermanentError(
                f"source {self.name!r}: after page {self.run.pages + 1} its API goes on where it has been. What "
                "was taken is kept; `api-exchange source reset` begins anew once the paging is mended"
            )


def _digest(cursor: JsonValue) -> str:
    return sha256(to_json(cursor)).hexdigest()
