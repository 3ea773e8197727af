"""A page of somebody's API, as an extraction sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.json_value import JsonValue, json_value
from api_exchange_core.domain.source_name import Window

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is wanted.

    Args:
        cursor: what the page before named as the next; None for the first one.
        window: which part of the source's time; the same for all pages of a run.
        number: counts the pages of the run, from 1.
    """

    cursor: JsonValue = field(default=None, repr=False)
    window: Window = field(default_factory=Window)
    number: int = 1

    @property
    def since(self) -> datetime | None:
        """Ask for what changed at this moment or later; None asks for all."""
        return self.window.since

    @property
    def until(self) -> datetime | None:
        """Ask for what changed before this moment; None asks for all that there is by now."""
        return self.window.until


# No slots: with them `Page[...](...)` fails on Python 3.11, which sets __orig_class__ on what is frozen.
@dataclass(frozen=True)
class Page(Generic[Item]):
    """A page of records.

    Args:
        items: the records.
        next_cursor: where the next page begins, any JSON up to 16 KiB; None if this is the last one.
        resume_at: on the last page, where the next run is to begin: for APIs that hand out a place in a stream of
            changes. None begins anew.

    Raises:
        UnrepresentableError: a cursor has no JSON form.
        DeclarationError: it names a next page and the place after the last one.
    """

    items: Sequence[Item] = field(repr=False)
    next_cursor: JsonValue = field(default=None, repr=False)
    resume_at: JsonValue = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.next_cursor is not None and self.resume_at is not None:
            raise DeclarationError(
                "a page names its next_cursor, or as the last one a resume_at, and not both"
            )
        # Copies: what a paginator does with its state later is not what was read here.
        object.__setattr__(self, "items", tuple(self.items))
        object.__setattr__(self, "next_cursor", json_value(self.next_cursor))
        object.__setattr__(self, "resume_at", json_value(self.resume_at))

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
