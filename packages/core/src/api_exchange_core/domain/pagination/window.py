"""Asking for a part of time: for what has changed since the last run, or for a slice of the past."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from typing_extensions import override

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.pagination.page import HttpPage, HttpPageRequest, Paginator
from api_exchange_core.domain.source_name import Window

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(moment: datetime) -> str:
    """As ``2026-01-01T00:00:00Z``, with a fraction of a second only if there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowParams:
    """How an API is asked for what changed in a part of time, such as ``?updated_since=2026-01-01T00:00:00Z``.

    Args:
        since: name of the parameter for the first moment.
        until: name of the one for the first moment after it; None if the API takes none, which cannot be backfilled.
        form: how a moment is written: `rfc3339`, or ``lambda moment: int(moment.timestamp())``.
        step: moments are rounded to it, the first one down and the last one up, so that nothing falls between.
        is_carried: whether the requests for further pages say it again. Not all APIs take it beside a cursor. An
            address that a page names is followed as it is.

    Raises:
        DeclarationError: the step is none.
    """

    since: str
    until: str | None = None
    form: Callable[[datetime], str | int] = rfc3339
    step: timedelta = timedelta(seconds=1)
    is_carried: bool = True

    def __post_init__(self) -> None:
        if self.step <= timedelta(0):
            raise DeclarationError(f"WindowParams(step=...) must be more than no time, not {self.step}")

    def of(self, window: Window) -> Mapping[str, str | int]:
        """The part of the query that asks for *window*.

        Raises:
            DeclarationError: it has an end, and there is no parameter for one.
        """
        query: dict[str, str | int] = {}
        if window.since is not None:
            query[self.since] = self.form(_BEGINNING + (window.since - _BEGINNING) // self.step * self.step)
        if window.until is not None:
            if self.until is None:
                raise DeclarationError(
                    f"what changed before {window.until} is to be extracted, and nothing says how the API is asked "
                    "for that: WindowParams(until=...)"
                )
            query[self.until] = self.form(_BEGINNING - (_BEGINNING - window.until) // self.step * self.step)
        return query


def in_window(paginator: Paginator, window: Window, params: WindowParams | None) -> Paginator:
    """*paginator*, asking for *window* alone.

    Raises:
        DeclarationError: nothing says how to ask for it.
    """
    if params is not None:
        return _InWindow(paginator, params.of(window), params.is_carried)
    if window != Window():
        raise DeclarationError(
            "a part of time is to be extracted, and nothing says how the API is asked for one: "
            "fetch_from(..., window=WindowParams(since=..., until=...))"
        )
    return paginator


@dataclass(frozen=True, slots=True)
class _InWindow(Paginator):
    paginator: Paginator
    query: Mapping[str, str | int]
    is_carried: bool

    @property
    @override
    def items(self) -> str:
        return self.paginator.items

    @property
    @override
    def empty_ends(self) -> bool:
        return self.paginator.empty_ends

    @override
    def start(self) -> HttpPageRequest:
        return self._asking(self.paginator.start())

    @override
    def next(self, page: HttpPage) -> HttpPageRequest | None:
        following = self.paginator.next(page)
        if following is None or not self.is_carried or urlsplit(following.url).scheme:
            return following
        return self._asking(following)

    def _asking(self, request: HttpPageRequest) -> HttpPageRequest:
        return HttpPageRequest(request.url, {**request.params, **self.query})
