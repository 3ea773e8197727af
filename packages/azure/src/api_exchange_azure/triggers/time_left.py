"""How long an invocation may take, which the worker is not told: the host's own settings say it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from api_exchange_core.domain.deadline import Deadline
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.ports.clock import Clock

_DEFAULT: Final = timedelta(
    minutes=5
)  # of both (host.json reference; Service Bus bindings): the shortest of all plans
_LONGEST_LOCK: Final = timedelta(minutes=5)  # Service Bus quotas
_MOST_RESERVED: Final = 5
"""A reserve is at most this part of the time that there is; a short function would begin nothing otherwise."""
_TIME: Final = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class HostLimits:
    """What ends an invocation, or takes its messages from it.

    Args:
        function_timeout: the host ends the whole process after it.
        lock_renewal: the host renews the lock of a message of Service Bus that comes alone for so long; after it the
            message is somebody else's.
    """

    function_timeout: timedelta = _DEFAULT
    lock_renewal: timedelta = _DEFAULT

    @classmethod
    def of(cls, environment: Mapping[str, str], folder: Path) -> HostLimits:
        """What ``host.json`` says, or the app settings that take its place (``AzureFunctionsJobHost__...``).

        Args:
            environment: the app settings.
            folder: the one of the function app.

        Raises:
            DeclarationError: it says something else than a time.
        """
        host = _host_json(folder)
        bus = host.get("extensions", {}).get("serviceBus", {})
        return cls(
            function_timeout=_time(
                environment.get("AzureFunctionsJobHost__functionTimeout", host.get("functionTimeout"))
            ),
            lock_renewal=_time(
                environment.get(
                    "AzureFunctionsJobHost__extensions__serviceBus__maxAutoLockRenewalDuration",
                    bus.get("maxAutoLockRenewalDuration"),
                )
            ),
        )

    def of_batch(self, locks: Iterable[datetime], *, now: datetime) -> timedelta:
        """How long a batch of Service Bus may take; none of its locks is renewed ("Azure Service Bus bindings").

        A lock that has ended already tells nothing: its message is handled, and a second time it is a duplicate.

        Args:
            locks: when those of its messages end, as far as that is known.
            now: when it begins.
        """
        left = [until - now for until in locks if until > now]
        return min(self.function_timeout, _LONGEST_LOCK, *left)


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """The time of one invocation.

    Args:
        clock: tells the time.
        until: when it is over.
        reserve: time at its end in which nothing new is begun: it is for committing and settling.
    """

    clock: Clock
    until: datetime
    reserve: timedelta

    @classmethod
    def beginning(cls, clock: Clock, limit: timedelta, reserve: timedelta) -> TimeLeft:
        """The time of an invocation that begins now."""
        return cls(clock, clock.now() + limit, min(reserve, limit / _MOST_RESERVED))

    def is_short(self) -> bool:
        """Whether nothing new is to be begun."""
        return self.clock.now() >= self.until - self.reserve

    @property
    def deadline(self) -> Deadline:
        """When calls that are begun must have come to their end."""
        return Deadline(self.until - self.reserve)

    @property
    def until_reserve(self) -> timedelta:
        """What is left without the reserve; never less than nothing."""
        return max(self.until - self.reserve - self.clock.now(), timedelta(0))


def _host_json(folder: Path) -> dict[str, dict[str, dict[str, object]]]:
    path = folder / "host.json"
    try:
        read = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DeclarationError(f"{str(path)!r} is no JSON: {error}") from error
    return read if isinstance(read, dict) else {}


def _time(text: object) -> timedelta:
    """A time as .NET writes it; ``-1`` is none, for which a day stands."""
    if text is None:
        return _DEFAULT
    if str(text) in ("-1", "-00:00:00.0010000"):
        return timedelta(days=1)
    found = _TIME.fullmatch(str(text))
    if found is None:
        raise DeclarationError(f"host.json: {text!r} is no time such as '00:05:00'")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
