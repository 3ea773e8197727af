"""One thing that was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, and what is wrong with it.

    Args:
        name: one word or two, for a table and for programs.
        claim: what is so if nothing is wrong.
        wrong: what was found instead, a sentence each; nothing if all is well.
        mend: what to do about it.
    """

    name: str
    claim: str
    wrong: Sequence[str]
    mend: str

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong
