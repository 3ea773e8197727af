"""An observer that remembers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from typing_extensions import override

from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.observer import Handled, WithoutTraces

_NOTHING: Mapping[str, str | int | None] = MappingProxyType({})
_bound: ContextVar[Mapping[str, str | int | None]] = ContextVar(
    "api_exchange_testing_bound", default=_NOTHING
)


def bound_ids() -> Mapping[str, str | int | None]:
    """What is bound to the lines that are logged now."""
    return _bound.get()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was told to an observer, with the ids that were bound at the time."""

    name: str
    facts: Mapping[str, str | float | None]
    ids: Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class TokenWait:
    """A call that had to wait for a token."""

    tenant_id: TenantId
    api: str
    waited: timedelta


class RecordingObserver(WithoutTraces):
    """Keeps what it is told, for tests to look at."""

    def __init__(self) -> None:
        self._summaries: list[Handled] = []
        self._events: list[Event] = []
        self._token_waits: list[TokenWait] = []
        self._lock = threading.Lock()

    @property
    def summaries(self) -> list[Handled]:
        """The messages that were handled, in order."""
        with self._lock:
            return list(self._summaries)

    @property
    def events(self) -> list[Event]:
        """Whatever else happened, in order."""
        with self._lock:
            return list(self._events)

    @property
    def token_waits(self) -> list[TokenWait]:
        """The calls that had no token, in the order in which their waits ended."""
        with self._lock:
            return list(self._token_waits)

    @override
    @contextmanager
    def bound(self, **ids: str | int | None) -> Iterator[None]:
        token = _bound.set(MappingProxyType({**_bound.get(), **ids}))
        try:
            yield
        finally:
            _bound.reset(token)

    @override
    def handled(self, summary: Handled) -> None:
        with self._lock:
            self._summaries.append(summary)

    @override
    def event(self, name: str, **facts: str | float | None) -> None:
        with self._lock:
            self._events.append(Event(name, MappingProxyType(facts), _bound.get()))

    @override
    def token_waited(self, tenant_id: TenantId, *, api: str, waited: timedelta) -> None:
        with self._lock:
            self._token_waits.append(TokenWait(tenant_id, api, waited))
