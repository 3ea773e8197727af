"""The ``Link`` header (RFC 8288, section 3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_LINK: Final = re.compile(
    r"""\s*<([^>]*)>((?:\s*;\s*[\w!#$%&'*+.^`|~-]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s",;]+))?)*)\s*(?:,|$)""",
    re.ASCII,
)
_PARAMETER: Final = re.compile(
    r""";\s*([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",;]+)))?""", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Link:
    """One link.

    Args:
        target: an address, or a part of one.
        relations: what it is to the page, in lower case.
    """

    target: str
    relations: frozenset[str]


def links(field: str) -> Sequence[Link]:
    """The links of a header, up to the first that cannot be read."""
    found, place = [], 0
    while place < len(field) and (match := _LINK.match(field, place)) is not None:
        # Of several "rel" only the first counts (section 3.3).
        relations = (
            quoted or plain for name, quoted, plain in _PARAMETER.findall(match[2]) if name.lower() == "rel"
        )
        found.append(Link(match[1].strip(), frozenset(next(relations, "").lower().split())))
        place = match.end()
    return found
