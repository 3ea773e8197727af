"""The state of an exchange: what was done lately, what waits, and whether that is healthy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from api_exchange_core.application.health import Judgement, Thresholds, judge
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.backlog import Backlog, Waiting, WaitingMessages
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.error_groups import ErrorGroup, ErrorGroups
from api_exchange_core.ports.statistics import Statistics, StatisticsSource

_MOST_ROWS = 200_000
_MOST_GROUPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """All that `StatusReport` has to say.

    Args:
        judgement: healthy or not, and why not.
        statistics: what functions did.
        waiting: the queues in which messages wait; of all tenants, whoever was asked for.
        effects: what the relay should have carried out by now; of all tenants as well.
        errors: the errors that are not resolved, those first that were seen last.
    """

    judgement: Judgement
    statistics: Statistics
    waiting: Sequence[WaitingMessages]
    effects: Waiting | None
    errors: Sequence[ErrorGroup]


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Reads the numbers and has them judged."""

    clock: Clock
    statistics: StatisticsSource
    backlog: Backlog
    errors: ErrorGroups

    def report(
        self,
        *,
        window: timedelta,
        tenant_id: TenantId | None = None,
        thresholds: Thresholds | None = None,
    ) -> Status:
        """The state now, judged by the last *window*.

        Args:
            window: how far to look back.
            tenant_id: whose functions and errors; None for all tenants together.
            thresholds: what is still healthy; the defaults if not given.
        """
        now = self.clock.now()
        statistics = self.statistics.of_window(
            since=now - window, until=now, tenant_id=tenant_id, most=_MOST_ROWS
        )
        waiting, effects = self.backlog.messages(now=now), self.backlog.effects(now=now)
        errors = self.errors.newest(tenant_id=tenant_id, limit=_MOST_GROUPS)
        judgement = judge(
            statistics,
            waiting=waiting,
            effects=effects,
            errors=errors,
            thresholds=Thresholds() if thresholds is None else thresholds,
        )
        return Status(
            judgement=judgement, statistics=statistics, waiting=waiting, effects=effects, errors=errors
        )
