"""Counting what happens in processes that are killed without warning."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from typing_extensions import override

from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.observer import Handled, WithoutTraces

_PREFIX = "tally-"


class FileTally(WithoutTraces):
    """Writes a word for each thing that happens, at once: what is in memory dies with the process."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(
            folder / f"{_PREFIX}{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )

    @override
    @contextmanager
    def bound(self, **ids: str | int | None) -> Iterator[None]:
        yield

    @override
    def handled(self, summary: Handled) -> None:
        self._note(summary.outcome)

    @override
    def event(self, name: str, **facts: str | float | None) -> None:
        self._note(name)

    @override
    def token_waited(self, tenant_id: TenantId, *, api: str, waited: timedelta) -> None:
        self._note("token.waited")

    def _note(self, word: str) -> None:
        os.write(self._file, f"{word}\n".encode())


def counted(folder: Path) -> Counter[str]:
    """What all processes have noted, word by word."""
    words: Counter[str] = Counter()
    for file in folder.glob(f"{_PREFIX}*"):
        words.update(file.read_text(encoding="utf-8").split())
    return words
