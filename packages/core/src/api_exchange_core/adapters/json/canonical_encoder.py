"""Canonical JSON by orjson, for speed.

orjson writes RFC 8785 already, save for four things:

- it writes ``null`` for NaN and the infinities, which must be refused;
- it lays out floats otherwise than ECMAScript if they are whole (``2.0`` for ``2``), large or small;
- it nests up to 254 levels, where we stop at `MAX_DEPTH`;
- it sorts keys by code points, not by UTF-16 code units.

A look at the bytes clears a document that has none of them. It also suspects innocent texts, such as
``"v1.0,"``, and every ``null``; then a walk over the value tells for certain, at three times the price of
encoding. What is still in doubt goes to `canonical_bytes`, which also words every refusal.

One thing passes unseen: an ``orjson.Fragment``, whose bytes orjson copies without reading them. Whoever hands
one over vouches for them.
"""

from __future__ import annotations

import re

import orjson
from typing_extensions import override

from api_exchange_core.domain.canonical_json import canonical_bytes
from api_exchange_core.domain.json_value import MAX_DEPTH, json_value
from api_exchange_core.ports.canonical_encoder import CanonicalEncoder

# What is passed through, along with what orjson does not know, goes to `json_value` and comes back plain.
# Not OPT_STRICT_INTEGER: orjson writes every digit up to 64 bits, as we want them, and fails beyond.
_OPTIONS = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)

# Each pattern starts with one fixed character, by which `re` finds it sooner than bytes.find() finds two.
_NULL = re.compile(rb"null")
_WHOLE_FLOAT = re.compile(rb"\.0(?=[,}\]]|\Z)")
_LARGE_FLOAT = re.compile(rb"\+(?<=[0-9]e\+)[0-9]+(?=[,}\]]|\Z)")
_SMALL_FLOAT = re.compile(rb"-(?<=[0-9]e-)[0-9]+(?=[,}\]]|\Z)")

_PATTERNS_FIT = orjson.dumps([float("nan"), 2.0, 1e16, 1e-7]) == b"[null,2.0,1e+16,1e-7]"
"""False for an orjson before 3.12, which writes ``1e16`` without a sign. Then every value is walked."""

_WRITTEN_ALIKE = frozenset({str, int, bool, type(None)})


class OrjsonCanonicalEncoder(CanonicalEncoder):
    """Writes plain JSON in two to five times the time of orjson, a seventh or less of what pure Python takes."""

    @override
    def __call__(self, value: object, /) -> bytes:
        try:
            text = orjson.dumps(value, default=json_value, option=_OPTIONS)
        except orjson.JSONEncodeError:
            return canonical_bytes(value)
        if type(value) in _WRITTEN_ALIKE:
            return text
        if not text.isascii() and _may_be_misordered(text):
            return canonical_bytes(value)
        if _PATTERNS_FIT and _is_clear(text):
            return text
        wholes = _whole_floats(value)
        if wholes is None:
            return canonical_bytes(value)
        shortened, hits = _WHOLE_FLOAT.subn(b"", text)
        # More hits than floats: one of them is in a text, and nothing tells which.
        return shortened if hits == wholes else canonical_bytes(value)


def _may_be_misordered(text: bytes) -> bool:
    """Whether two keys may stand in another order than that of UTF-16.

    That takes a character beyond the BMP, whose UTF-8 starts with F0 to F4, and one from U+E000 to U+FFFF,
    whose UTF-8 starts with EE or EF. Single bytes are found so fast that all seven cost less than a pattern.
    """
    return (0xEE in text or 0xEF in text) and any(lead in text for lead in (0xF0, 0xF1, 0xF2, 0xF3, 0xF4))


def _is_clear(text: bytes) -> bool:
    """Whether nothing in *text* looks like a NaN, a float laid out otherwise or nesting too deep."""
    if _NULL.search(text) or _WHOLE_FLOAT.search(text) or _SMALL_FLOAT.search(text):
        return False
    if ord("+") in text and _LARGE_FLOAT.search(text):
        return False
    # Nesting is no deeper than there are brackets. To remove a byte is CPython's fastest way of counting it.
    brackets = 2 * len(text) - len(text.replace(b"{", b"")) - len(text.replace(b"[", b""))
    return brackets <= MAX_DEPTH


def _whole_floats(value: object) -> int | None:
    """How many floats in *value* are whole; None if it holds anything that might be written otherwise.

    Goes down level by level, so that the rounds count the depth. orjson has refused what contains itself.
    """
    wholes = 0
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for item in level:
            if type(item) in _WRITTEN_ALIKE:
                continue
            if type(item) is dict:
                below += item.values()
            elif type(item) is list or type(item) is tuple:
                below += item
            # Well within the range of plain notation; 0.0 belongs to it, and -0.0 and NaN do not.
            elif type(item) is float and (1e-4 <= abs(item) < 1e15 or repr(item) == "0.0"):
                wholes += item.is_integer()
            else:
                return None
        if not below:
            return wholes
        level = below
    return None
