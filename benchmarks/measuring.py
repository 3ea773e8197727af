"""Measuring on a machine that is shared and noisy: candidates take turns, and medians are compared."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report.

    Args:
        name: what was measured.
        value: the median.
        unit: of the value, such as ``us`` or ``messages/s``.
        ratio: to the report's reference, in the same run.
    """

    name: str
    value: float
    unit: str
    ratio: float | None = None


def interleaved(
    candidates: Mapping[str, Callable[[], object]], *, rounds: int, number: int = 1
) -> dict[str, float]:
    """The median time of each candidate in seconds a call.

    Args:
        candidates: what to call, by name.
        rounds: how often each has its turn; whatever else the machine does hits all of them alike.
        number: calls a turn.
    """

    def turn(call: Callable[[], object]) -> Callable[[], Callable[[], object]]:
        return lambda: lambda: [call() for _ in range(number)]

    seconds = taking_turns({name: turn(call) for name, call in candidates.items()}, rounds=rounds)
    return {name: value / number for name, value in seconds.items()}


def taking_turns(
    candidates: Mapping[str, Callable[[], Callable[[], object]]], *, rounds: int
) -> dict[str, float]:
    """The median time of each candidate's turns in seconds.

    Args:
        candidates: by name, what prepares a turn, unmeasured, and gives what is measured.
        rounds: turns of each. One more, which comes first, is not counted.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds + 1):
        for name, prepare in candidates.items():
            call = prepare()
            gc.collect()
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
    return {name: median(own[1:]) for name, own in times.items()}


def against(
    reference: str, seconds: Mapping[str, float], *, scale: float = 1e6, unit: str = "us"
) -> list[Row]:
    """Rows of *seconds*, each with its ratio to *reference*: above 1 is slower."""
    return [Row(name, value * scale, unit, value / seconds[reference]) for name, value in seconds.items()]


def rates(reference: str, seconds: Mapping[str, float], *, messages: int) -> list[Row]:
    """Rows of messages a second, each with its ratio to *reference*: above 1 is faster."""
    return [
        Row(name, messages / value, "messages/s", seconds[reference] / value)
        for name, value in seconds.items()
    ]


def show(title: str, rows: Sequence[Row]) -> None:
    """Print *rows* under *title*."""
    width = max(len(row.name) for row in rows)
    print(f"\n{title}")
    for row in rows:
        ratio = "" if row.ratio is None else f"   {row.ratio:6.2f} x"
        print(f"  {row.name:<{width}}  {row.value:12,.1f} {row.unit}{ratio}", flush=True)
