"""Lists and dictionaries of HTTP header fields (Structured Field Values, RFC 9651), as far as rate limits need them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

BareItem = str | int | Decimal | bool
"""A byte sequence stays the text that it is sent as."""

_BARE: Final = (
    r'(?:"(?:[ !#-\[\]-~]|\\["\\])*"'
    r"|-?[0-9]{1,15}(?:\.[0-9]{1,3})?"
    r"|\?[01]"
    r"|:[A-Za-z0-9+/=]*:"
    r"|[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*)"
)
_PARAMETER: Final = re.compile(rf"; *([a-z*][a-z0-9_.*-]*)(?:=({_BARE}))?")
_MEMBER: Final = re.compile(
    rf"({_BARE})(?:=({_BARE}))?((?:; *[a-z*][a-z0-9_.*-]*(?:={_BARE})?)*)[ \t]*(,[ \t]*|\Z)"
)


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a list or a dictionary.

    Args:
        name: of a list the item itself, of a dictionary the key.
        value: of a dictionary the value; True where there is none.
        parameters: of the item.
    """

    name: BareItem
    value: BareItem
    parameters: Mapping[str, BareItem]


def members(field: str) -> Sequence[Member]:
    """The members of *field*, in order.

    Raises:
        ValueError: it is neither a list of items nor a dictionary of them; RFC 9651 has the whole field ignored then.
    """
    text, found, place = field.strip(" "), [], 0
    while place < len(text):
        match = _MEMBER.match(text, place)
        if match is None or (match[4] != "" and match.end() == len(text)):
            raise ValueError("no list and no dictionary of RFC 9651")
        parameters = {one[1]: _value(one[2]) for one in _PARAMETER.finditer(match[3])}
        found.append(Member(_value(match[1]), _value(match[2]), parameters))
        place = match.end()
    return found


def _value(text: str | None) -> BareItem:
    if text is None:
        return True
    if text.startswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if text.startswith("?"):
        return text == "?1"
    if re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    return Decimal(text) if re.fullmatch(r"-?[0-9]+\.[0-9]+", text) else text
