"""Counting what happens, for the demo's progress and table."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta

from typing_extensions import override

from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.observer import Handled, Outcome, WithoutTraces


@dataclass(frozen=True, slots=True)
class Counts:
    """What one run of the exchange came to, by tenant."""

    messages: Counter[str] = field(default_factory=Counter)
    orders_fetched: Counter[str] = field(default_factory=Counter)
    order_versions: Counter[str] = field(default_factory=Counter)
    canonical_versions: Counter[str] = field(default_factory=Counter)
    forwarded: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)


class Tally(WithoutTraces):
    """An observer that counts; `begin` starts anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts = Counts()

    def begin(self) -> Counts:
        """Count into a fresh `Counts` from now on."""
        with self._lock:
            self.counts = Counts()
            return self.counts

    @override
    def bound(self, **ids: str | float | None) -> AbstractContextManager[None]:
        return nullcontext()

    @override
    def handled(self, summary: Handled) -> None:
        tenant = "nobody" if summary.tenant_id is None else summary.tenant_id
        with self._lock:
            counts = self.counts
            if summary.outcome is Outcome.COMPLETED:
                counts.messages[tenant] += 1
                if summary.function == "to-canonical":
                    # Not what was sent: a page sends the message for the next one as well.
                    counts.forwarded[tenant] += 1
            elif summary.problem is not None:
                counts.problems[f"{summary.function}: {summary.problem.code}"] += 1
            if summary.function == "fetch-orders":
                counts.orders_fetched[tenant] += summary.entities
                counts.order_versions[tenant] += summary.new_versions
            else:
                counts.canonical_versions[tenant] += summary.new_versions

    @override
    def event(self, name: str, **facts: str | float | None) -> None:
        with self._lock:
            self.counts.problems[name] += 1

    @override
    def token_waited(self, tenant_id: TenantId, *, api: str, waited: timedelta) -> None:
        """Not counted: each tenant's first token is waited for."""
