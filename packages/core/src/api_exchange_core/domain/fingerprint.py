"""Fingerprints: the same for failures of the same kind from the same place, whatever the message was.

A fingerprint is made of the function, its operation, and for each error of the chain its class and the application's
functions on the way to where it was raised. Line numbers are left out, so that an edit above splits no group, and so
are texts, which name ids and amounts. Where there is nothing else to tell failures apart, the plain words of the text
are taken in.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from itertools import islice
from types import FrameType

_INNERMOST = 5
"""Functions of the application that count, from where the error was raised outwards."""

_LONGEST_CHAIN = 10
_LONGEST_WORD = 24
_OURS = "api_exchange_core"
_INSTALLED = ("/site-packages/", "/dist-packages/")
_QUOTED = re.compile(r"""(['"`«»“”]).*?\1|“.*?”|«.*?»""", re.DOTALL)


def fingerprint_of(error: BaseException, *, function: str, operation: str | None) -> str:
    """The fingerprint of *error*, raised in *operation* of *function*."""
    parts = [part for link in islice(_chain(error), _LONGEST_CHAIN) for part in _told(link)]
    return _hashed(function, operation, *parts)


def fingerprint_of_result(
    *, code: str | None, reason: str | None, function: str, operation: str | None
) -> str:
    """The fingerprint of a result that is no success: its code or, if it has none, the words of its reason."""
    told = ("text", plain_words(reason or "")) if code is None else ("code", code)
    return _hashed(function, operation, *told)


def plain_words(text: str) -> str:
    """*text* without numbers, ids, addresses and quoted values: its words of letters alone, in small letters."""
    words = (word.strip("(.,:;!?)").lower() for word in _QUOTED.sub(" ", text).split())
    return " ".join(word for word in words if word.isalpha() and len(word) <= _LONGEST_WORD)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on; of a group of errors the first of each class as well."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            classes = {_name(type(one)): one for one in reversed(link.exceptions)}
            waiting += [classes[name] for name in sorted(classes)]
        cause = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        if cause is not None:
            waiting.append(cause)


def _told(error: BaseException) -> Iterator[str]:
    yield _name(type(error))
    # Recursion passes the same functions again, as deep as the content happens to be: each counts once.
    places = list(islice(dict.fromkeys(_places(error)), _INNERMOST))
    yield from places or ("text", plain_words(_text(error)))


def _places(error: BaseException) -> Iterator[str]:
    """The application's functions on the way to where *error* was raised, innermost first."""
    frames = []
    step = error.__traceback__
    while step is not None:
        frames.append(step.tb_frame)
        step = step.tb_next
    for frame in reversed(frames):
        if _is_the_applications(frame):
            yield f"{_module(frame)}.{frame.f_code.co_qualname}"


def _is_the_applications(frame: FrameType) -> bool:
    """Whether it is neither Python's nor the framework's nor a library's: these change with their releases."""
    root = _module(frame).partition(".")[0]
    file = frame.f_code.co_filename.replace("\\", "/")
    return (
        root != _OURS and root not in sys.stdlib_module_names and not any(part in file for part in _INSTALLED)
    )


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _name(kind: type) -> str:
    # Libraries move their classes from one inner module to another.
    return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - anybody's __str__; it is told apart by its class, then
        return ""


def _hashed(function: str, operation: str | None, *parts: str) -> str:
    told = "\x1f".join((function, operation or "", *parts))
    return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:16]
