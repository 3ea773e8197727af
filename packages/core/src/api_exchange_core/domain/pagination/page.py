"""Requests for pages, and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from api_exchange_core.domain.errors import PermanentError, RetryableError
from api_exchange_core.domain.json_pointer import pointer_steps
from api_exchange_core.domain.json_value import JsonValue

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpPageRequest:
    """What to ask for.

    Args:
        url: a path below the API's base URL, or the whole address that a page has named.
        params: the query; of a whole address it is part of *url*, and this is empty.
    """

    url: str = field(repr=False)
    params: Mapping[str, str | int] = field(default_factory=dict, hash=False, repr=False)


@dataclass(frozen=True, slots=True)
class HttpPage:
    """An answer.

    Args:
        request: that it answers.
        url: whole, where it came from.
        headers: names in lower case find them.
        body: as JSON.
    """

    request: HttpPageRequest
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: JsonValue = field(repr=False)

    def at(self, pointer: str) -> JsonValue:
        """What *pointer* (RFC 6901) leads to in the body; None if it leads nowhere, and the body for ``""``."""
        value = self.body
        for step in pointer_steps(pointer) if pointer else ():
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
                value = value[int(step)]
            else:
                return None
        return value

    def items(self, pointer: str) -> Sequence[JsonValue]:
        """The list at *pointer*.

        Raises:
            RetryableError: there is none, as when a proxy answers in the API's place.
        """
        found = self.at(pointer)
        if not isinstance(found, list):
            raise RetryableError(f"a page of {self.path!r} has no list at {pointer!r}")
        return found

    @property
    def path(self) -> str:
        """How messages name it: without the query, which may hold what logs must not."""
        return urlsplit(self.url).path

    def link(self, target: str) -> HttpPageRequest:
        """The request for *target*, an address or a part of one, as this page names it.

        Raises:
            PermanentError: it leads to another host, which must not get this one's credentials.
        """
        try:
            whole = urljoin(self.url, target)
            here, there = origin(self.url), origin(whole)
        except ValueError as error:
            raise PermanentError(
                f"a page of {self.path!r} names an address for the next that is none"
            ) from error
        if here != there:
            raise PermanentError(
                f"a page of {self.path!r} says that the next one is at {there[1]!r}, and this one is from {here[1]!r}: "
                "another host does not get this one's credentials"
            )
        return HttpPageRequest(whole)


class Paginator(Protocol):
    """One way in which an API gives its pages. Has no state: what comes next follows from the page before."""

    @property
    def items(self) -> str:
        """Pointer to the list of a page's items."""

    @property
    def empty_ends(self) -> bool:
        """Whether a page without items is the last one, whatever else it says."""

    def start(self) -> HttpPageRequest:
        """The first request."""

    def next(self, page: HttpPage) -> HttpPageRequest | None:
        """The request after *page*; None if it is the last one.

        Raises:
            RetryableError: the page is not as it is to be.
            PermanentError: it leads where nobody should follow.
        """


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of *url*.

    Raises:
        ValueError: it has none that can be read.
    """
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
