"""Extracting a source page by page, each page a transaction, whatever dies in between.

A run of a source is a chain of messages. Each takes a page, or a few, and commits together what the processor made of
them, the checkpoint after them, and the message that goes on. The checkpoint names that message: no other one, not even
a copy of it that comes later, can go on with the run.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from inspect import isawaitable, iscoroutine
from typing import Final, Generic, Protocol, TypeVar

from pydantic_core import to_json

from api_exchange_core.domain.checkpoint import Assignment, Checkpoint, Run
from api_exchange_core.domain.deadline import Deadline
from api_exchange_core.domain.errors import DeclarationError, PermanentError
from api_exchange_core.domain.identity import derived_message_id
from api_exchange_core.domain.intentions import HandOn, Intentions
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import FunctionName
from api_exchange_core.domain.page import Page, PageRequest
from api_exchange_core.domain.source_name import Window, is_slice, source_name, source_of, window_of
from api_exchange_core.domain.watermark import Taken, Watermark

Item = TypeVar("Item")

Fetch = Callable[[PageRequest], Page[Item] | Awaitable[Page[Item]]]
"""Asks somebody's API for a page. May be ``async def`` where the processor is."""

MAX_PAGES: Final = 1_000
"""Most pages of one message: all that they hold is in memory, and in one transaction."""

SHORTEST_LEASE: Final = timedelta(seconds=10)
LONGEST_LEASE: Final = timedelta(days=7)


class CheckpointDesk(Protocol):
    """The checkpoints of a tenant, as one call of a processor reaches them."""

    @property
    @abstractmethod
    def assignment(self) -> Assignment:
        """What the call's message is to do for sources."""

    @abstractmethod
    def now(self) -> datetime:
        """The time, aware UTC."""

    @abstractmethod
    def read(self, key: str) -> Checkpoint:
        """Where a source stands; version 0 if it has never been anywhere."""

    @abstractmethod
    def claim(
        self, key: str, *, lease: timedelta, window: Callable[[Checkpoint], Window]
    ) -> Checkpoint | None:
        """Make the call's message the runner of a source, at once and in a transaction of its own.

        Returns:
            The checkpoint as it is now; None if the run is somebody else's.
        """


@dataclass(frozen=True, slots=True)
class Source:
    """A source of records; made by `ProcessorContext.source`.

    Args:
        name: of the source; a tenant has one checkpoint for it, whichever function extracts it.
        function: that the call is of.
        desk: where checkpoints are read and claimed.
        intentions: of the call.
        deadline: of the call.
        lease: how long a run that does not go on is left alone, before another message may take it over.
        pages_per_message: how many pages are taken in one transaction, if the time allows.
        margin: no further page is begun when less than this is left before the deadline.

    Raises:
        DeclarationError: a value out of range.
    """

    name: str
    function: FunctionName
    desk: CheckpointDesk
    intentions: Intentions
    deadline: Deadline
    lease: timedelta = timedelta(minutes=10)
    pages_per_message: int = 1
    margin: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        source_name(self.name)
        if not isinstance(self.lease, timedelta) or not SHORTEST_LEASE <= self.lease <= LONGEST_LEASE:
            raise DeclarationError(
                f"source {self.name!r}: lease must be a timedelta from 10 seconds to 7 days, not {self.lease!r}"
            )
        if type(self.pages_per_message) is not int or not 1 <= self.pages_per_message <= MAX_PAGES:
            raise DeclarationError(
                f"source {self.name!r}: pages_per_message is a whole number from 1 to {MAX_PAGES:,}, "
                f"not {self.pages_per_message!r}"
            )
        if not isinstance(self.margin, timedelta) or self.margin < timedelta(0):
            raise DeclarationError(
                f"source {self.name!r}: margin must be a timedelta from zero on, not {self.margin!r}"
            )

    def pages(self, fetch: Fetch[Item], *, watermark: Watermark[Item] | None = None) -> Pages[Item]:
        """The pages that this call is to take: for ``for``, or in an ``async def`` processor for ``async for``.

        There are none if another message is running the source. A page that was handed out counts as taken once the
        call has succeeded; if the call fails nothing of it was, and the page is asked for again. While there are more
        pages than this call takes, a message for the next one goes to the function's own queue in the same
        transaction; it has the payload of this one.

        Args:
            fetch: asks for a page.
            watermark: asks only for what has changed since the last run.

        Raises:
            DeclarationError: the call has asked for this source before.
            PermanentError: `fetch` answers no page, or a cursor that is too large or leads in a circle.
            TransientError: the store could not be reached.
        """
        return Pages(self, fetch, watermark)

    def begun(self, watermark: Watermark[Item] | None) -> _Extraction[Item] | None:
        """This call's part of the run; None if it has none."""
        self.intentions.extracting(self.name)
        wanted = self.desk.assignment.key
        key = self.name if wanted is None else wanted
        if source_of(key) != self.name:
            return None

        def window(checkpoint: Checkpoint) -> Window:
            if is_slice(key) or watermark is None:
                return window_of(key)
            return watermark.next_window(checkpoint)

        claimed = self.desk.claim(key, lease=self.lease, window=window)
        if claimed is None or claimed.run is None:
            return None
        return _Extraction(self, watermark, claimed, claimed, claimed.run)


@dataclass(frozen=True)
class Pages(Generic[Item]):
    """What `Source.pages` answers; the store and the API are asked while it is iterated."""

    source: Source
    fetch: Fetch[Item]
    watermark: Watermark[Item] | None = field(repr=False)

    def __iter__(self) -> Iterator[Page[Item]]:
        extraction = self.source.begun(self.watermark)
        while extraction is not None and not extraction.is_over:
            page = self.fetch(extraction.request)
            if isawaitable(page):
                if iscoroutine(page):
                    page.close()
                raise DeclarationError(
                    f"source {self.source.name!r}: its fetch is async, so write `async for page in ...`"
                )
            yield extraction.taken(page)

    async def __aiter__(self) -> AsyncIterator[Page[Item]]:
        extraction = self.source.begun(self.watermark)
        while extraction is not None and not extraction.is_over:
            page = self.fetch(extraction.request)
            yield extraction.taken(await page if isawaitable(page) else page)


@dataclass(slots=True)
class _Extraction(Generic[Item]):
    """One call's part of a run.

    Args:
        source: which.
        watermark: by which it goes.
        claimed: the checkpoint that the call began with.
        checkpoint: the one after the pages that it has taken.
        run: as it is after them.
    """

    source: Source
    watermark: Watermark[Item] | None
    claimed: Checkpoint
    checkpoint: Checkpoint
    run: Run

    @property
    def request(self) -> PageRequest:
        """The next page."""
        return PageRequest(self.checkpoint.cursor, self.run.window, self.run.pages + 1)

    @property
    def is_over(self) -> bool:
        """Whether this call takes no further page. It takes one, however late it is, or nothing would go on."""
        source, taken = self.source, self.run.pages - self._pages_before
        if self.run.finished_at is not None or taken >= source.pages_per_message:
            return True
        return taken > 0 and source.deadline.is_within(source.margin, now=source.desk.now())

    @property
    def _pages_before(self) -> int:
        return 0 if self.claimed.run is None else self.claimed.run.pages

    def taken(self, page: Page[Item]) -> Page[Item]:
        """The page without what is known already; intends what follows from it, as if it were the last of this call."""
        if not isinstance(page, Page):
            raise PermanentError(
                f"source {self.source.name!r}: fetch answers a Page(items, next_cursor), not a {type(page).__name__}"
            )
        now = self.source.desk.now()
        new = self._new(page, now)
        self._refuse_circle(page.next_cursor)
        self._advance(page, new, now)
        return replace(page, items=new.items)

    def _new(self, page: Page[Item], now: datetime) -> Taken[Item]:
        seen = self.checkpoint.seen
        if self.watermark is None:
            return Taken(page.items, None, seen)
        hasher = self.source.intentions.hasher
        return self.watermark.take(
            page.items,
            run=self.run,
            seen=seen,
            now=now,
            digest=lambda item: hasher.hash(item, canonical_type=self.source.name),
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
            self.source.function,
            self.source.intentions.tenant_id,
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
            leased_until=None if is_last else now + self.source.lease,
            updated_at=now,
        )
        onward = None if is_last else HandOn(next_id, Assignment(self.checkpoint.source, self.run.id))
        self.source.intentions.advance(self.checkpoint, onward)

    def _watermark(self, highest: datetime | None) -> datetime | None:
        moments = (self.claimed.watermark, highest)
        return max((moment for moment in moments if moment is not None), default=None)

    def _refuse_circle(self, cursor: JsonValue) -> None:
        """Brent's: a cursor that is kept at each power of two comes by again, if the way leads in a circle."""
        if cursor is None:
            return
        if cursor == self.checkpoint.cursor or _digest(cursor) == self.run.mark:
            raise PermanentError(
                f"source {self.source.name!r}: after page {self.run.pages + 1} its API goes on where it has been. What "
                "was taken is kept; `api-exchange source reset` begins anew once the paging is mended"
            )


def _digest(cursor: JsonValue) -> str:
    return sha256(to_json(cursor)).hexdigest()


@dataclass(slots=True)
class CheckpointHandle:
    """A checkpoint that the processor keeps itself; made by `ProcessorContext.checkpoint`.

    What it holds was read when it was made. Nothing is written before the processor has returned, and then only if
    nobody else has written meanwhile; else the processor is called again, and reads what is there by then.
    """

    name: str
    _checkpoint: Checkpoint
    _intentions: Intentions
    _now: Callable[[], datetime]

    @property
    def cursor(self) -> JsonValue:
        """What was saved the last time; None at the beginning."""
        return self._checkpoint.cursor

    @property
    def watermark(self) -> datetime | None:
        """What was saved the last time; None at the beginning."""
        return self._checkpoint.watermark

    @property
    def version(self) -> int:
        """How often it was written; 0 at the beginning."""
        return self._checkpoint.version

    @property
    def updated_at(self) -> datetime | None:
        """When it was written."""
        return self._checkpoint.updated_at

    def save(self, cursor: object, *, watermark: datetime | None = None) -> None:
        """Keep *cursor*, in the transaction of what this call persists and sends. The last one of a call counts.

        Args:
            cursor: any JSON up to 16 KiB.
            watermark: up to when all is known, aware; left as it is if not given.

        Raises:
            UnrepresentableError: the cursor has no JSON form.
            PermanentError: it is too large.
            DeclarationError: the watermark is not aware.
        """
        Window(watermark)
        self._intentions.advance(self._checkpoint.saved(cursor, now=self._now(), watermark=watermark), None)
