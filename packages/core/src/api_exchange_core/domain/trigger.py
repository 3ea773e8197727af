"""What starts a function."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.names import QueueName
from api_exchange_core.domain.schedule import Schedule

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

HEALTH_PATH = "/healthz"
"""Answers while the process lives."""
READY_PATH = "/readyz"
"""Answers whether the process should be handed work."""
METRICS_PATH = "/metrics"
"""What a Prometheus reads."""

_OURS = (HEALTH_PATH, READY_PATH, METRICS_PATH)

_PATH = re.compile(r"/(?:[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*)?")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class TenantFromApiKey:
    """The tenant is the one whose API key the request carries.

    Args:
        header: name of the header that carries it.
    """

    header: str = "X-API-Key"

    def __post_init__(self) -> None:
        if not _HEADER.fullmatch(self.header):
            raise DeclarationError(f"{self.header!r} is no header name: use letters, digits and hyphens")


TenantSource = TenantFromApiKey
"""How an HTTP function knows its tenant: from something verified, never from a bare header."""


@dataclass(frozen=True, slots=True)
class TimerTrigger:
    """Once a tenant and tick of the schedule."""

    schedule: Schedule


@dataclass(frozen=True, slots=True)
class QueueTrigger:
    """For each message of a queue."""

    queue: QueueName


@dataclass(frozen=True, slots=True)
class HttpTrigger:
    """For each request that a verified tenant makes."""

    path: str
    methods: tuple[str, ...]
    tenant: TenantSource = field(default_factory=TenantFromApiKey)

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not _PATH.fullmatch(self.path):
            raise DeclarationError(
                f"{self.path!r} is no HTTP path: begin with '/', and use letters, digits, '.', '_', '~', '-'"
            )
        if self.path in _OURS:
            raise DeclarationError(f"{self.path!r} is answered by the server itself: choose another path")
        unknown = [method for method in self.methods if method not in METHODS]
        if unknown or not self.methods:
            raise DeclarationError(
                f"HTTP path {self.path!r}: methods are some of {', '.join(METHODS)}, not {self.methods!r}"
            )


Trigger = TimerTrigger | QueueTrigger | HttpTrigger
