"""Somebody's API in a test: records with the times of their changes, handed out page by page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.page import Page, PageRequest

Record = dict[str, JsonValue]


@dataclass(slots=True)
class PagedApi:
    """Records that can change between two pages, as those of a real API do.

    It pages by key (the time of the change, then the id), so that nothing is skipped when a record is added. Hand its
    `fetch` to `Source.pages`.

    Args:
        page_size: records of a page.

    Attributes:
        asked: the requests that came, in order.
    """

    page_size: int = 10
    asked: list[PageRequest] = field(default_factory=list)
    _records: dict[str, tuple[datetime, Record]] = field(default_factory=dict)

    def put(self, id_: str, changed_at: datetime, **content: JsonValue) -> None:
        """Add a record, or change it; *changed_at* is what it says of itself, and may lie before what was read."""
        record = {"id": id_, "updated_at": changed_at.isoformat(), **content}
        self._records[id_] = (changed_at, record)

    @property
    def records(self) -> Mapping[str, Record]:
        """What there is, by id."""
        return {id_: record for id_, (_, record) in self._records.items()}

    def fetch(self, request: PageRequest) -> Page[Record]:
        """A page of what changed in the request's window, oldest change first. Its cursor is the last record's key."""
        self.asked.append(request)
        after = request.cursor
        wanted = sorted(
            (changed_at.isoformat(), id_)
            for id_, (changed_at, _) in self._records.items()
            if request.window.holds(changed_at)
        )
        rest = [key for key in wanted if after is None or list(key) > after]  # type: ignore[operator] # its own list
        page = rest[: self.page_size]
        return Page(
            [self._records[id_][1] for _, id_ in page],
            next_cursor=list(page[-1]) if len(rest) > len(page) else None,
        )
