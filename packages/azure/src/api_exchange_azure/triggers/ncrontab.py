"""Schedules in the notation of timer triggers.

NCRONTAB has a field for seconds in front of cron's five ("Timer trigger for Azure Functions", NCRONTAB expressions).
What it and other crons disagree on is refused where a schedule is declared (`api_exchange_core.domain.cron`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.schedule import Schedule

_TIME_ZONE: Final = "WEBSITE_TIME_ZONE"
_UTC: Final = frozenset({"", "utc", "etc/utc", "gmt", "etc/gmt"})
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)


def ncrontab(schedule: Schedule) -> str:
    """*schedule* as a timer trigger has it, on the full minute."""
    return f"0 {schedule.cron_expression}"


def each(every: timedelta) -> str:
    """A timer that fires at even intervals, a minute at the least.

    Raises:
        DeclarationError: NCRONTAB has no even step for that.
    """
    minutes, hours = every // _MINUTE, every // _HOUR
    if every <= _MINUTE:
        return "0 * * * * *"
    if every == minutes * _MINUTE and minutes < 60 and 60 % minutes == 0:
        return f"0 */{minutes} * * * *"
    if every == hours * _HOUR and 24 % hours == 0:
        return f"0 0 */{hours} * * *" if hours < 24 else "0 0 0 * * *"
    raise DeclarationError(
        f"a timer of Azure Functions cannot fire each {every}: its minutes must divide 60, or its hours 24"
    )


def check_time_zone(environment: Mapping[str, str]) -> None:
    """Schedules are in UTC; this app setting would have the host read them in local time.

    Raises:
        DeclarationError: it is set to something else.
    """
    zone = environment.get(_TIME_ZONE, "")
    if zone.lower() not in _UTC:
        raise DeclarationError(
            f"{_TIME_ZONE} is {zone!r}, and schedules are kept in UTC: remove it, since in local time a schedule fires "
            "twice or never on the days when clocks change"
        )
