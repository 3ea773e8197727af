"""Where in a JSON payload a value is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from api_exchange_core.domain.errors import DeclarationError

_NAME = r"(?:[^.\\]|\\[.\\])+"
_PATH = re.compile(rf"{_NAME}(?:\.{_NAME})*")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class Absent(Enum):
    """What `FieldPath.find` answers when the path leads nowhere; JSON's null is a value and is not this."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class FieldPath:
    r"""A dotted path into a payload: ``order.lines.0.sku``.

    A whole number is an index where the path meets an array, and a name where it meets an object. A dot that
    belongs to a name is written ``\.``, a backslash ``\\``.

    Raises:
        DeclarationError: the path is empty, or has an empty step or a stray backslash.
    """

    text: str
    steps: tuple[str, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if not _is_path(self.text):
            raise DeclarationError(
                f"{self.text!r} is no field path: write names and array indexes with dots between, as in "
                r"'order.lines.0.sku'; a dot in a name is '\.', a backslash '\\'"
            )
        names = (re.sub(r"\\([.\\])", r"\1", name) for name in re.findall(_NAME, self.text))
        object.__setattr__(self, "steps", tuple(names))

    def find(self, payload: object) -> object:
        """The value at this path, or `ABSENT`."""
        found = payload
        for step in self.steps:
            if isinstance(found, Mapping):
                found = found.get(step, ABSENT)
            elif isinstance(found, list | tuple) and _INDEX.fullmatch(step) and int(step) < len(found):
                found = found[int(step)]
            else:
                return ABSENT
        return found


def _is_path(text: object) -> bool:
    return isinstance(text, str) and _PATH.fullmatch(text) is not None
