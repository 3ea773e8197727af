"""What the code that a processor calls uses of the framework, without being handed it.

A client of somebody's API is made by the application's own container, long before there is a store to keep its tokens
in. So it finds what it needs when it is called: by the call that is running, as it finds the tenant.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from api_exchange_core.application.credential_reader import CredentialReader
from api_exchange_core.domain.deadline import NO_DEADLINE, Deadline
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.sleeper import Sleeper


@dataclass(frozen=True, slots=True)
class Services:
    """What one instance of an exchange offers to the code that runs in it."""

    clock: Clock
    sleeper: Sleeper
    randomness: Randomness
    observer: Observer
    credentials: CredentialReader

    @contextmanager
    def at_work(self, deadline: Deadline = NO_DEADLINE) -> Iterator[None]:
        """Within the block, what is called finds these services; threads and asyncio tasks keep theirs apart.

        Args:
            deadline: of what is done in the block.
        """
        token = _current.set(_Work(self, deadline))
        try:
            yield
        finally:
            _current.reset(token)


@dataclass(frozen=True, slots=True)
class _Work:
    services: Services
    deadline: Deadline


_current: ContextVar[_Work | None] = ContextVar("api_exchange_work", default=None)


def current_services() -> Services:
    """The services of the call that is running.

    Raises:
        DeclarationError: none is.
    """
    return _work().services


def current_deadline() -> Deadline:
    """When the call that is running must have come to its end.

    Raises:
        DeclarationError: none is running.
    """
    return _work().deadline


def _work() -> _Work:
    work = _current.get()
    if work is None:
        raise DeclarationError(
            "nothing is at work here: inside functions it is; elsewhere wrap the call in "
            "`with container.use_cases.services().at_work():`, and hand the context on to threads of your own"
        )
    return work
