"""The threads that a test begins."""

from __future__ import annotations

import threading
from collections.abc import Sequence


class BegunThreads:
    """The threads of this process that were begun after this was made, and have not ended.

    What other tests began may go on, or come to its end, at any moment.
    """

    def __init__(self) -> None:
        self._before = frozenset(threading.enumerate())

    @property
    def all(self) -> Sequence[threading.Thread]:
        """They themselves."""
        return [one for one in threading.enumerate() if one not in self._before]

    @property
    def names(self) -> Sequence[str]:
        """What they are called, in alphabetical order."""
        return sorted(one.name for one in self.all)
