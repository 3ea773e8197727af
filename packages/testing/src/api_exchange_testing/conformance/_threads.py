"""Many at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from api_exchange_core.domain.errors import TransientError

Result = TypeVar("Result")

THREADS = 8
_TRIES = 200


def all_at_once(work: Callable[[int], Result], *, threads: int = THREADS) -> list[Result]:
    """What *work* answers for 0, 1, 2 ..., each called in a thread of its own, all let go together."""
    start = threading.Barrier(threads)

    def one(number: int) -> Result:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(one, range(threads)))


def persistently(work: Callable[[], Result]) -> Result:
    """What *work* answers in the end: transient errors make it begin anew, as the framework does."""
    for _ in range(_TRIES - 1):
        try:
            return work()
        except TransientError:
            continue
    return work()
