"""Paths that HTTP functions are served at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from api_exchange_core.domain.errors import DeclarationError

TENANT_PARAMETER: Final = "tenant"
"""The one parameter that a path may have."""

_TENANT = f"{{{TENANT_PARAMETER}}}"
_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")


@dataclass(frozen=True, slots=True)
class HttpPath:
    """A path, perhaps with ``{tenant}`` in place of one of its segments.

    Raises:
        DeclarationError: it is none.
    """

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.startswith("/") or not self._has_good_segments():
            raise DeclarationError(
                f"{self.text!r} is no HTTP path: begin with '/', and use letters, digits, '.', '_', '~', '-' and, "
                f"as a whole segment and once, {_TENANT!r}"
            )

    def _has_good_segments(self) -> bool:
        others = [one for one in self.segments if one != _TENANT]
        return len(self.segments) - len(others) <= 1 and all(_SEGMENT.fullmatch(one) for one in others)

    @property
    def segments(self) -> tuple[str, ...]:
        """What stands between the slashes; nothing for the root."""
        return () if self.text == "/" else tuple(self.text[1:].split("/"))

    @property
    def names_tenant(self) -> bool:
        """Whether a segment of it is the tenant."""
        return _TENANT in self.segments

    def meets(self, other: HttpPath) -> bool:
        """Whether a request could be for either of the two."""
        return len(self.segments) == len(other.segments) and all(
            mine == its or _TENANT in (mine, its)
            for mine, its in zip(self.segments, other.segments, strict=True)
        )
