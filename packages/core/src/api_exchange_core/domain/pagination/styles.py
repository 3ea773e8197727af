"""The ways in which APIs give their pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from typing_extensions import override

from api_exchange_core.domain.errors import RetryableError
from api_exchange_core.domain.pagination.link_header import links
from api_exchange_core.domain.pagination.page import HttpPage, HttpPageRequest, Paginator

Params = Mapping[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedPages(Paginator):
    """``?page=1``, ``?page=2``, up to a page without items, or to the last one if pages tell which that is.

    A page with fewer items than were asked for is not taken for the last: many APIs give fewer than one asks for.

    Args:
        path: of the collection, below the API's base URL.
        items: JSON pointer to the list of a page's items; ``""`` if the page is that list.
        params: the rest of the query, such as ``{"per_page": 100}``.
        param: name of the number.
        first: the first number.
        last: JSON pointer to the number of the last page, if pages tell it.
        empty_ends: nothing but an empty page says that it is the last, where *last* does not.
    """

    path: str
    items: str
    params: Params = field(default_factory=dict)
    param: str = "page"
    first: int = 1
    last: str | None = None
    empty_ends: bool = True

    @override
    def start(self) -> HttpPageRequest:
        return HttpPageRequest(self.path, {**self.params, self.param: self.first})

    @override
    def next(self, page: HttpPage) -> HttpPageRequest | None:
        number = _number(page.request.params.get(self.param), page)
        if self.last is not None and number >= _number(page.at(self.last), page):
            return None
        return HttpPageRequest(self.path, {**self.params, self.param: number + 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetPages(Paginator):
    """``?offset=0``, then so many more as the page had items, whatever was asked for.

    Args:
        path: as of `NumberedPages`, and so *items* and *params*, such as ``{"limit": 100}``.
        param: name of the offset.
        total: JSON pointer to the number of all items, if pages tell it.
    """

    path: str
    items: str
    params: Params = field(default_factory=dict)
    param: str = "offset"
    total: str | None = None

    @property
    @override
    def empty_ends(self) -> bool:
        return True

    @override
    def start(self) -> HttpPageRequest:
        return HttpPageRequest(self.path, {**self.params, self.param: 0})

    @override
    def next(self, page: HttpPage) -> HttpPageRequest | None:
        offset = _number(page.request.params.get(self.param), page) + len(page.items(self.items))
        if self.total is not None and offset >= _number(page.at(self.total), page):
            return None
        return HttpPageRequest(self.path, {**self.params, self.param: offset})


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorPages(Paginator):
    """Each page holds a cursor for the next; the last one holds none, or null, or an empty text.

    Args:
        path: as of `NumberedPages`, and so *items* and *params*.
        cursor: JSON pointer to the cursor.
        param: name under which it is sent.
        more: JSON pointer to a boolean; where it is false the page is the last, whatever its cursor.
        empty_ends: a page without items is the last one. By default it is not: where an API filters after it has
            cut the pages, any of them may be empty.
    """

    path: str
    items: str
    cursor: str
    params: Params = field(default_factory=dict)
    param: str = "cursor"
    more: str | None = None
    empty_ends: bool = False

    @override
    def start(self) -> HttpPageRequest:
        return HttpPageRequest(self.path, self.params)

    @override
    def next(self, page: HttpPage) -> HttpPageRequest | None:
        cursor = page.at(self.cursor)
        if cursor is None or cursor == "" or (self.more is not None and page.at(self.more) is False):
            return None
        if isinstance(cursor, bool) or not isinstance(cursor, str | int):
            raise RetryableError(f"a page of {page.path!r} has no text and no number at {self.cursor!r}")
        return HttpPageRequest(self.path, {**self.params, self.param: cursor})


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedPages(Paginator):
    """Each page has the address of the next in its ``Link`` header (RFC 8288), with ``rel=next``.

    Args:
        path: as of `NumberedPages`, and so *items* and *params*.
        empty_ends: as of `CursorPages`.
    """

    path: str
    items: str
    params: Params = field(default_factory=dict)
    empty_ends: bool = False

    @override
    def start(self) -> HttpPageRequest:
        return HttpPageRequest(self.path, self.params)

    @override
    def next(self, page: HttpPage) -> HttpPageRequest | None:
        targets = [link.target for link in links(page.headers.get("link", "")) if "next" in link.relations]
        return page.link(targets[0]) if targets else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NextUrlPages(Paginator):
    """Each page has the address of the next in its body; the last one has none, or null, or an empty text.

    Args:
        path: as of `NumberedPages`, and so *items* and *params*.
        url: JSON pointer to the address, which may be a part of one.
        empty_ends: as of `CursorPages`.
    """

    path: str
    items: str
    url: str
    params: Params = field(default_factory=dict)
    empty_ends: bool = False

    @override
    def start(self) -> HttpPageRequest:
        return HttpPageRequest(self.path, self.params)

    @override
    def next(self, page: HttpPage) -> HttpPageRequest | None:
        target = page.at(self.url)
        if target is None or target == "":
            return None
        if not isinstance(target, str):
            raise RetryableError(f"a page of {page.path!r} has no text at {self.url!r}")
        return page.link(target)


def _number(value: object, page: HttpPage) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise RetryableError(f"a page of {page.path!r} does not tell a number where it should")
    return value
