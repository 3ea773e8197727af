"""Extracting a source page by page, each page a transaction, whatever dies in between.

A run of a source is a chain of messages. Each takes a page, or a few, and commits together what the processor made of
them, the checkpoint after them, and the message that goes on. The checkpoint names that message: no other one, not even
a copy of it that comes later, can go on with the run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from inspect import isawaitable, iscoroutine
from typing import Final, Generic, TypeVar

from api_exchange_core.domain.checkpoint import Checkpoint
from api_exchange_core.domain.checkpoint_desk import CheckpointDesk
from api_exchange_core.domain.deadline import Deadline
from api_exchange_core.domain.errors import DeclarationError, TransientError
from api_exchange_core.domain.extraction import Extraction
from api_exchange_core.domain.intentions import Intentions
from api_exchange_core.domain.names import FunctionName
from api_exchange_core.domain.page import Page, PageRequest
from api_exchange_core.domain.source_name import Window, is_slice, source_name, source_of, window_of
from api_exchange_core.domain.watermark import Watermark

Item = TypeVar("Item")

Fetch = Callable[[PageRequest], Page[Item] | Awaitable[Page[Item]]]
"""Asks somebody's API for a page. May be ``async def`` where the processor is."""

MAX_PAGES: Final = 1_000
"""Most pages of one message: all that they hold is in memory, and in one transaction."""

SHORTEST_LEASE: Final = timedelta(seconds=10)
LONGEST_LEASE: Final = timedelta(days=7)


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

    def begun(self, watermark: Watermark[Item] | None) -> Extraction[Item] | None:
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
        return Extraction(
            function=self.function,
            desk=self.desk,
            intentions=self.intentions,
            lease=self.lease,
            watermark=watermark,
            claimed=claimed,
            checkpoint=claimed,
            run=claimed.run,
        )

    def goes_on(self, extraction: Extraction[Item]) -> bool:
        """Whether this call takes another page. It takes one, however late it is, or nothing would ever go on."""
        taken = extraction.pages_taken
        if extraction.is_finished or taken >= self.pages_per_message:
            return False
        return taken == 0 or not self.deadline.is_within(self.margin, now=self.desk.now())


@dataclass(frozen=True)
class Pages(Generic[Item]):
    """What `Source.pages` answers; the store and the API are asked while it is iterated.

    A page that cannot be had for now ends the call's part if that has pages already. They are kept, and the message
    that goes on meets the failure itself; else an API that lets fewer requests through than a call has pages would be
    asked for the same ones for ever.
    """

    source: Source
    fetch: Fetch[Item]
    watermark: Watermark[Item] | None = field(repr=False)

    def __iter__(self) -> Iterator[Page[Item]]:
        extraction = self.source.begun(self.watermark)
        while extraction is not None and self.source.goes_on(extraction):
            try:
                page = self.fetch(extraction.request)
            except TransientError:
                if not extraction.pages_taken:
                    raise
                return
            if isawaitable(page):
                if iscoroutine(page):
                    page.close()
                raise DeclarationError(
                    f"source {self.source.name!r}: its fetch is async, so write `async for page in ...`"
                )
            yield extraction.taken(page)

    async def __aiter__(self) -> AsyncIterator[Page[Item]]:
        extraction = self.source.begun(self.watermark)
        while extraction is not None and self.source.goes_on(extraction):
            try:
                answer = self.fetch(extraction.request)
                page = await answer if isawaitable(answer) else answer
            except TransientError:
                if not extraction.pages_taken:
                    raise
                return
            yield extraction.taken(page)
