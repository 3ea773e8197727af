r"""How a message lies in a Storage Queue, which knows a text of 64 KiB and no properties.

The text is Base64, as the Functions host expects it (``messageEncoding``). Where something has to be noted beside the
body, the bytes begin with a line of their own: the character U+001E, which no JSON begins with, and a JSON object::

    \x1e{"spent": 2, "properties": {"kind": "express"}}
    {"specversion": "1.0", ...}
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil
from typing import Final, Self

# "Put Message", Azure Storage REST reference.
MAX_TEXT: Final = 64 * 1024
"""Bytes of the text of a message."""
LONGEST_DELAY: Final = timedelta(days=7)

NOTES_ROOM: Final = 4 * 1024
MAX_BODY: Final = MAX_TEXT // 4 * 3
"""Bytes, notes included, whose Base64 is no longer than `MAX_TEXT`."""

_MARK: Final = b"\x1e"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A body, and what has to be known beside it.

    Args:
        body: the bytes.
        spent: attempts that are known beside those that the service counts; less than none for receives that do not
            count, since what was received was given back.
        properties: texts that travel along.
    """

    body: bytes = field(repr=False)
    spent: int = 0
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, lying: bytes) -> Self:
        """What the bytes of a message say; bytes that are none of ours are a body."""
        if not lying.startswith(_MARK):
            return cls(body=lying)
        line, _, body = lying.partition(b"\n")
        try:
            noted = json.loads(line[1:])
            return cls(
                body=body, spent=int(noted.get("spent", 0)), properties=dict(noted.get("properties", {}))
            )
        except (AttributeError, TypeError, ValueError):
            return cls(body=lying)

    @classmethod
    def in_text(cls, text: str) -> Self:
        """The same of a text as the service gives it; one that is no Base64 is a body as it is."""
        try:
            return cls.of(b64decode(text, validate=True))
        except ValueError:
            return cls(body=text.encode())

    @property
    def lying(self) -> bytes:
        """The bytes of the message."""
        noted: dict[str, object] = {}
        if self.spent:
            noted["spent"] = self.spent
        if self.properties:
            noted["properties"] = dict(self.properties)
        if not noted and not self.body.startswith(_MARK):
            return self.body
        return _MARK + json.dumps(noted, separators=(",", ":")).encode() + b"\n" + self.body

    @property
    def text(self) -> str:
        """The text of the message."""
        return b64encode(self.lying).decode()


def whole_seconds(time: timedelta) -> int:
    """*time* in whole seconds, which is all that the service knows; rounded up, so that nothing comes too early."""
    return ceil(time.total_seconds())
