"""Names for the steps of processors, seen in logs, versions and traces."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import ParamSpec, TypeVar, cast

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.names import MAX_IDENTIFIER

_current: ContextVar[str | None] = ContextVar("api_exchange_operation", default=None)

_NAME = "__api_exchange_operation__"

P = ParamSpec("P")
R = TypeVar("R")


def current_operation() -> str | None:
    """The innermost operation that is running in this context, or None."""
    return _current.get()


def operation(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a method, ``def`` or ``async def``, with the name of the step that it is.

    Args:
        name: such as ``external_api.fetch``; at most 255 printable characters.

    Raises:
        DeclarationError: the name is empty, too long or unprintable.
    """
    if not isinstance(name, str) or not 0 < len(name) <= MAX_IDENTIFIER or not name.isprintable():
        raise DeclarationError(
            f"{name!r} is no operation name: use 1 to {MAX_IDENTIFIER} printable characters"
        )

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def named_async(*args: P.args, **kwargs: P.kwargs) -> object:
                token = _current.set(name)
                try:
                    return await function(*args, **kwargs)
                finally:
                    _current.reset(token)

            return cast("Callable[P, R]", _marked(named_async, name))

        @functools.wraps(function)
        def named(*args: P.args, **kwargs: P.kwargs) -> R:
            token = _current.set(name)
            try:
                return function(*args, **kwargs)
            finally:
                _current.reset(token)

        return _marked(named, name)

    return decorate


def operation_of(function: object) -> str | None:
    """The name that `operation` gave *function*, or None."""
    name = getattr(function, _NAME, None)
    return name if isinstance(name, str) else None


def _marked(function: Callable[P, R], name: str) -> Callable[P, R]:
    setattr(function, _NAME, name)
    return function
