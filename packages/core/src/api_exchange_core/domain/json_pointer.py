"""JSON pointers (RFC 6901): how errors name a place in a document, and how a declaration picks one out."""

from __future__ import annotations

import re
from collections.abc import Iterable

_POINTER = re.compile(r"(?:/(?:[^/~]|~[01])*)+")


def pointer_to(steps: Iterable[str | int]) -> str:
    """The pointer from the root through *steps*, keys and indexes; no steps make ``""``, the root itself."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def pointer_steps(pointer: str) -> tuple[str, ...]:
    """The keys (or indexes, as text) that *pointer* leads through.

    Raises:
        ValueError: *pointer* is no RFC 6901 pointer, or is ``""``, which points at the whole document.
    """
    if not _POINTER.fullmatch(pointer):
        raise ValueError(
            f"{pointer!r} is no JSON pointer to a part of a document: start each step with '/', "
            "and write '~1' for a '/' and '~0' for a '~' in a key"
        )
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))


def text_at(pointer: str, payload: object) -> str | None:
    """The text, or the whole number as text, to which *pointer* leads through the objects of *payload*."""
    value = payload
    for step in pointer_steps(pointer):
        if not isinstance(value, dict) or step not in value:
            return None
        value = value[step]
    if isinstance(value, str):
        return value or None
    return str(value) if type(value) is int else None
