"""The way through the pages of a collection: where it is, that it ends, and that it can be gone on with later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.pagination.page import HttpPage, HttpPageRequest, Paginator

MAX_PAGES: Final = 10_000
"""Longest way, unless one says otherwise."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page, as whoever walks is given it.

    Args:
        items: of the page.
        body: all of it.
        number: of the page; counts from 1, on from where the walk was left.
        state: from which to go on after this page, as JSON; None if it is the last one. Holds the cursor or the
            address of the next page, and so whatever the API has put into these.
    """

    items: Sequence[JsonValue] = field(repr=False)
    body: JsonValue = field(repr=False)
    number: int
    state: JsonValue = field(repr=False)


class _State(BaseModel):
    """Where a walk is.

    Circles are found in the memory of one mark (R. P. Brent, "An improved Monte Carlo factorization algorithm", 1980):
    it is put down ever more rarely, so that in the end it lies within the circle, and is come by again.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, extra="forbid", strict=True)

    url: str
    params: dict[str, str | int]
    pages: int = Field(default=0, ge=0)
    mark: str
    since_mark: int = Field(default=0, ge=0)
    mark_after: int = Field(default=1, ge=1)
    last_body: str | None = None

    @property
    def request(self) -> HttpPageRequest:
        return HttpPageRequest(self.url, self.params)


class Walk:
    """Goes from page to page: make `request`, hand in the answer, until `request` is None.

    Args:
        paginator: knows what comes next.
        state: where an earlier walk was left, `Fetched.state`; None to begin.
        max_pages: more than that is taken for a mistake.

    Raises:
        PermanentError: the state is none of such a walk.
    """

    def __init__(self, paginator: Paginator, *, state: JsonValue = None, max_pages: int = MAX_PAGES) -> None:
        self._paginator = paginator
        self._max_pages = max_pages
        self._state: _State | None = _begun(paginator.start()) if state is None else _restored(state)

    @property
    def request(self) -> HttpPageRequest | None:
        """The request to make; None if there are no more pages."""
        return None if self._state is None else self._state.request

    def arrive(self, page: HttpPage) -> Fetched:
        """Take *page*, the answer to `request`, and go on to the next.

        Raises:
            RetryableError: the page is not as it is to be.
            PermanentError: the pages lead in a circle, to another host, or on for too long.
            ValueError: there was no request.
        """
        state = self._state
        if state is None:
            raise ValueError("the walk is over: there are no more pages")
        items = page.items(self._paginator.items)
        is_end = not items and self._paginator.empty_ends
        following = None if is_end else self._paginator.next(page)
        self._state = None if following is None else self._step(state, following, page, has_items=bool(items))
        left = None if self._state is None else self._state.model_dump(mode="json")
        return Fetched(items, page.body, state.pages + 1, left)

    def _step(self, state: _State, following: HttpPageRequest, page: HttpPage, *, has_items: bool) -> _State:
        pages, digest = state.pages + 1, _digest([following.url, dict(following.params)])
        body = _digest(page.body) if has_items else None
        if digest in (state.mark, _digest([state.url, state.params])):
            raise PermanentError(f"the pages of {page.path!r} lead in a circle, seen after {pages}")
        if body is not None and body == state.last_body:
            raise PermanentError(
                f"{page.path!r} gave the same page twice, the second time as number {pages}: "
                "does it know these parameters?"
            )
        if pages >= self._max_pages:
            raise PermanentError(
                f"{page.path!r} has more than {self._max_pages:,} pages: raise max_pages if that is so"
            )
        is_marked = state.since_mark + 1 == state.mark_after
        return _State(
            url=following.url,
            params=dict(following.params),
            pages=pages,
            mark=digest if is_marked else state.mark,
            since_mark=0 if is_marked else state.since_mark + 1,
            mark_after=state.mark_after * 2 if is_marked else state.mark_after,
            last_body=body,
        )


def _begun(request: HttpPageRequest) -> _State:
    params = dict(request.params)
    return _State(url=request.url, params=params, mark=_digest([request.url, params]))


def _restored(state: JsonValue) -> _State:
    try:
        return _State.model_validate(state)
    except ValidationError as error:
        fields = sorted({str(one["loc"][0]) if one["loc"] else "all of it" for one in error.errors()})
        raise PermanentError(
            f"this is no state that a walk was left in (wrong: {', '.join(fields)}): begin anew with state=None"
        ) from None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
