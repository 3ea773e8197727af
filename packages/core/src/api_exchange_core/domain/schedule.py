"""When a timer fires: one declaration that EventBridge Scheduler, Azure's NCRONTAB and one machine all keep.

Times are UTC and whole minutes: EventBridge knows no shorter unit, and a schedule in local time fires twice
or never on the days when clocks change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from typing_extensions import override

from api_exchange_core.domain.cron import CronExpression
from api_exchange_core.domain.errors import DeclarationError

_DAY = timedelta(days=1)
_MINUTES_IN = {"minutes": 1, "hours": 60, "days": 24 * 60}
_CRON_OF = {"minutes": "*/{} * * * *", "hours": "0 */{} * * *", "days": "0 0 * * *"}
_EVEN = {
    "minutes": tuple(n for n in range(1, 61) if 60 % n == 0),
    "hours": tuple(n for n in range(1, 25) if 24 % n == 0),
    "days": (1,),
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """The times at which a function runs. Two are equal when they fire at the same times.

    Made by `Schedule.every` or `Schedule.cron`.

    Args:
        text: how the schedule was written, for people to read.
        expression: the same as cron.
    """

    text: str = field(compare=False)
    expression: CronExpression

    @classmethod
    def every(cls, *, minutes: int = 0, hours: int = 0, days: int = 0) -> Schedule:
        """Fire at even intervals that start at the full hour, or at midnight, UTC.

        NCRONTAB can step only within the next larger unit, so minutes must divide 60 and hours must divide
        24: a step of 7 minutes would be one of 4 minutes at the end of each hour.

        Raises:
            DeclarationError: not exactly one unit, or a number that does not divide; it names the nearest.
        """
        given = {unit: n for unit, n in (("minutes", minutes), ("hours", hours), ("days", days)) if n != 0}
        if len(given) != 1:
            raise DeclarationError(
                f"Schedule.every takes exactly one of minutes, hours and days, not {given or 'none'}; "
                "for anything else use Schedule.cron('minute hour day-of-month month day-of-week')"
            )
        ((unit, number),) = given.items()
        if type(number) is not int or number not in _EVEN[unit]:
            raise _uneven(unit, number)
        text = f"every {number} {unit}" if number > 1 else f"every {unit.removesuffix('s')}"
        return cls(text, CronExpression(_CRON_OF[unit].format(number)))

    @classmethod
    def cron(cls, text: str) -> Schedule:
        """Fire when a five-field cron expression says, in UTC; see `CronExpression` for what can be written.

        Raises:
            DeclarationError: it is malformed, never fires, or means different things on different platforms.
        """
        return cls(text, CronExpression(text))

    @property
    def cron_expression(self) -> str:
        """The normal five-field form (see `CronExpression.__str__`); platforms' notations derive from it."""
        return str(self.expression)

    def next_after(self, moment: datetime) -> datetime:
        """The first scheduled time strictly after *moment*.

        Raises:
            ValueError: *moment* is not in UTC.
            OverflowError: there is none before the year 10000.
        """
        start = _utc(moment).replace(second=0, microsecond=0) + timedelta(minutes=1)
        cron = self.expression
        since = (start.hour, start.minute)
        first = ((h, m) for h in cron.hours if h >= since[0] for m in cron.minutes if (h, m) >= since)
        today = next(first, None) if self._fires_on(start.date()) else None
        if today is not None:
            return _at(start.date(), today)
        day = start.date() + _DAY
        while not self._fires_on(day):
            day = day + _DAY if day.month in cron.months else _next_month(day)
        return _at(day, (cron.hours[0], cron.minutes[0]))

    def latest_at(self, moment: datetime) -> datetime:
        """The last scheduled time at or before *moment*.

        Raises:
            ValueError: *moment* is not in UTC.
            OverflowError: there is none since the year 1.
        """
        end = _utc(moment)
        cron = self.expression
        until = (end.hour, end.minute)
        last = (
            (h, m) for h in cron.hours[::-1] if h <= until[0] for m in cron.minutes[::-1] if (h, m) <= until
        )
        today = next(last, None) if self._fires_on(end.date()) else None
        if today is not None:
            return _at(end.date(), today)
        day = end.date() - _DAY
        while not self._fires_on(day):
            day = day - _DAY if day.month in cron.months else day.replace(day=1) - _DAY
        return _at(day, (cron.hours[-1], cron.minutes[-1]))

    @override
    def __str__(self) -> str:
        return self.text

    def _fires_on(self, day: date) -> bool:
        cron = self.expression
        return day.month in cron.months and day.day in cron.days and day.isoweekday() % 7 in cron.weekdays


def _utc(moment: datetime) -> datetime:
    if moment.utcoffset() != timedelta(0):
        raise ValueError(
            f"schedules are kept in UTC, and {moment!r} is not; use an aware datetime such as now(UTC)"
        )
    return moment.astimezone(UTC)


def _at(day: date, hour_and_minute: tuple[int, int]) -> datetime:
    return datetime.combine(day, time(*hour_and_minute), tzinfo=UTC)


def _next_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def _uneven(unit: str, number: object) -> DeclarationError:
    values = ", ".join(map(str, _EVEN[unit]))
    nearest = ""
    if type(number) is int and number > 0:
        wanted = number * _MINUTES_IN[unit]
        choices = [(abs(n * _MINUTES_IN[u] - wanted), n, u) for u in reversed(_EVEN) for n in _EVEN[u]]
        _, close, close_unit = min(choices, key=lambda choice: choice[0])
        nearest = f" The nearest is Schedule.every({close_unit}={close})."
    return DeclarationError(
        f"Schedule.every({unit}={number!r}): not an even step on every platform; {unit} can be {values}."
        f"{nearest} For anything else use Schedule.cron('minute hour day-of-month month day-of-week')"
    )
