"""Five-field cron, in the part of the language that means the same on every platform.

cron, EventBridge Scheduler and Azure's NCRONTAB share a notation and disagree on parts of its meaning. What
they disagree on is refused here, at declaration, and the error names another way to write it:

- Both day fields restricted: cron fires when either matches, NCRONTAB when both do, EventBridge refuses the
  expression (one of the two must be ``?`` there).
- A step on a single number (``5/15``): one minute in some crons, every fifteenth from the fifth in others.
- ``@daily`` and its kin, ``L``, ``W``, ``#``, ``?``, seconds and years: each is unknown to some of them.

Sources: crontab(5); "Schedule types in EventBridge Scheduler", AWS; "Timer trigger for Azure Functions:
NCRONTAB expressions", Microsoft Learn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from typing_extensions import override

from api_exchange_core.domain.errors import DeclarationError

_NUMBER = re.compile(r"[0-9]{1,2}")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class _Field:
    position: int
    name: str
    lowest: int
    highest: int
    count: int  # of different values: the days of the week count both 0 and 7 as Sunday
    words: tuple[str, ...] = ()  # the first word is another way to write the lowest number

    @property
    def allowed(self) -> str:
        words = f" or {self.words[0]} to {self.words[-1]}" if self.words else ""
        return f"{self.lowest} to {self.highest}{words}"


_FIELDS = (
    _Field(1, "minute", 0, 59, 60),
    _Field(2, "hour", 0, 23, 24),
    _Field(3, "day-of-month", 1, 31, 31),
    _Field(4, "month", 1, 12, 12, _MONTHS),
    _Field(5, "day-of-week", 0, 7, 7, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class CronExpression:
    """A cron expression, read. Two are equal when they fire at the same times, however they are written.

    Args:
        text: minute, hour, day of month, month, day of week (0 to 7, both Sunday), with blanks between.
            Lists, ranges, steps, and the names jan to dec and sun to sat in either case.

    Raises:
        DeclarationError: it is malformed, never fires, or means different things on different platforms.
    """

    text: str = field(compare=False)
    minutes: tuple[int, ...] = field(init=False, repr=False)
    hours: tuple[int, ...] = field(init=False, repr=False)
    days: tuple[int, ...] = field(init=False, repr=False)
    months: tuple[int, ...] = field(init=False, repr=False)
    weekdays: tuple[int, ...] = field(init=False, repr=False)
    """0 is Sunday; 7 is read as 0."""

    def __post_init__(self) -> None:
        where = f"cron {self.text!r}"
        written = _split(self.text, where)
        minutes, hours, days, months, weekdays = (
            _values(spec, text, f"{where}, field {spec.position} ({spec.name})")
            for spec, text in zip(_FIELDS, written, strict=True)
        )
        if written[2] != "*" and written[4] != "*":
            raise DeclarationError(
                f"{where}: fields 3 (day-of-month) and 5 (day-of-week) are both restricted; platforms "
                "disagree on whether one or both must match. Put * in one of them, or declare two functions"
            )
        if days[0] > max(_LONGEST_MONTH[month - 1] for month in months):
            raise DeclarationError(
                f"{where}: field 3 (day-of-month) never comes in the months of field 4 (month), so it never "
                "fires. Use an earlier day, or the first day of the month after"
            )
        object.__setattr__(self, "minutes", minutes)
        object.__setattr__(self, "hours", hours)
        object.__setattr__(self, "days", days)
        object.__setattr__(self, "months", months)
        object.__setattr__(self, "weekdays", tuple(sorted({number % 7 for number in weekdays})))

    @override
    def __str__(self) -> str:
        """The normal form: numbers only, Sunday as 0, ``*`` for all, ``*/n`` for even steps.

        So steps occur in the minute, hour and month fields alone; days are lists of numbers and of ranges.
        """
        values = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        return " ".join(_render(spec, numbers) for spec, numbers in zip(_FIELDS, values, strict=True))


def _split(text: str, where: str) -> list[str]:
    if not isinstance(text, str):
        raise DeclarationError(f"{where}: a cron expression is a string of five fields")
    if text.strip().startswith("@"):
        same = _MACROS.get(text.strip().lower())
        raise DeclarationError(
            f"{where}: macros are not known to every platform; "
            + (f"write {same!r}" if same else "write five fields")
        )
    fields = text.lower().split()
    if len(fields) != len(_FIELDS):
        extra = " (leave out NCRONTAB's seconds, EventBridge's year)" if len(fields) > len(_FIELDS) else ""
        raise DeclarationError(
            f"{where}: {len(fields)} fields instead of five; write {' '.join(f.name for f in _FIELDS)}{extra}"
        )
    return fields


def _values(spec: _Field, text: str, where: str) -> tuple[int, ...]:
    return tuple(sorted({number for item in text.split(",") for number in _item(spec, item, where)}))


def _item(spec: _Field, item: str, where: str) -> range:
    span, stepped, step = item.partition("/")
    first, ranged, last = span.partition("-")
    if span == "*":
        numbers = range(spec.lowest, spec.highest + 1)
    elif ranged:
        numbers = _range(spec, _number(spec, first, where), _number(spec, last, where), where)
    else:
        number = _number(spec, first, where)
        if stepped:
            raise DeclarationError(
                f"{where}: {item!r} steps from a single number, which platforms read differently; "
                f"write '{number}-{spec.highest}/{step}'"
            )
        numbers = range(number, number + 1)
    return numbers[:: _step(spec, step, where)] if stepped else numbers


def _range(spec: _Field, first: int, last: int, where: str) -> range:
    if first > last:
        head = f"{spec.lowest}-{last}" if last > spec.lowest else f"{last}"
        raise DeclarationError(
            f"{where}: the range '{first}-{last}' runs backwards; "
            f"split it in two: '{first}-{spec.highest},{head}'"
        )
    return range(first, last + 1)


def _number(spec: _Field, text: str, where: str) -> int:
    if text in spec.words:
        return spec.lowest + spec.words.index(text)
    if _NUMBER.fullmatch(text) and spec.lowest <= int(text) <= spec.highest:
        return int(text)
    hint = "; L, W, # and ? are not known to every platform" if set(text) & set("lw#?") else ""
    raise DeclarationError(
        f"{where}: {text!r} is not a value of this field; use {spec.allowed}, or * for all{hint}"
    )


def _step(spec: _Field, text: str, where: str) -> int:
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= spec.count:
        raise DeclarationError(f"{where}: {text!r} is not a step of this field; use 1 to {spec.count}")
    return int(text)


def _render(spec: _Field, numbers: tuple[int, ...]) -> str:
    if len(numbers) == spec.count:
        return "*"
    step, rest = divmod(spec.count, len(numbers))
    if rest == 0 and len(numbers) > 1 and numbers == tuple(range(spec.lowest, spec.highest + 1, step)):
        return f"*/{step}"
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)
