"""What starts a function."""

from __future__ import annotations

from dataclasses import dataclass, field

from api_exchange_core.domain.envelope import MAX_MESSAGE_BYTES
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.http_path import HttpPath
from api_exchange_core.domain.intake_limit import IntakeLimit
from api_exchange_core.domain.names import QueueName
from api_exchange_core.domain.schedule import Schedule
from api_exchange_core.domain.tenant_source import TenantFromApiKey, TenantFromWebhook, TenantSource

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

HEALTH_PATH = "/healthz"
"""Answers while the process lives."""
READY_PATH = "/readyz"
"""Answers whether the process should be handed work."""
METRICS_PATH = "/metrics"
"""What a Prometheus reads."""

_OURS = (HEALTH_PATH, READY_PATH, METRICS_PATH)


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
    """For each request that a verified tenant makes.

    Args:
        path: where; with ``{tenant}`` if that is how the tenant is named.
        methods: HTTP methods in capitals.
        tenant: how a request proves its tenant.
        max_body: bytes of a body.
        limit: requests of a tenant; None for as many as come.
    """

    path: str
    methods: tuple[str, ...]
    tenant: TenantSource = field(default_factory=TenantFromApiKey)
    max_body: int = MAX_MESSAGE_BYTES
    limit: IntakeLimit | None = None

    def __post_init__(self) -> None:
        route = HttpPath(self.path)
        if any(route.meets(HttpPath(ours)) for ours in _OURS):
            raise DeclarationError(f"{self.path!r} is answered by the server itself: choose another path")
        _check_names_tenant(route, self.tenant)
        unknown = [method for method in self.methods if method not in METHODS]
        if unknown or not self.methods:
            raise DeclarationError(
                f"HTTP path {self.path!r}: methods are some of {', '.join(METHODS)}, not {self.methods!r}"
            )
        if type(self.max_body) is not int or not 1 <= self.max_body <= MAX_MESSAGE_BYTES:
            raise DeclarationError(
                f"HTTP path {self.path!r}: max_body is 1 to {MAX_MESSAGE_BYTES:,} bytes, the largest message, not "
                f"{self.max_body!r}"
            )
        if not isinstance(self.limit, IntakeLimit | None):
            raise DeclarationError(
                f"HTTP path {self.path!r}: {self.limit!r} is no limit: use IntakeLimit(100, per=timedelta(seconds=1))"
            )

    def meets(self, other: HttpTrigger) -> tuple[str, ...]:
        """The methods with which a request could be for either of the two."""
        shared = sorted(set(self.methods) & set(other.methods))
        return tuple(shared) if HttpPath(self.path).meets(HttpPath(other.path)) else ()


def _check_names_tenant(path: HttpPath, source: TenantSource) -> None:
    wanted = isinstance(source, TenantFromWebhook)
    if wanted and not path.names_tenant:
        raise DeclarationError(
            f"HTTP path {path.text!r}: a request says whose secret it is signed with by its path: put {{tenant}} "
            f"into it, as in '{path.text.rstrip('/')}/{{tenant}}'"
        )
    if path.names_tenant and not wanted:
        raise DeclarationError(
            f"HTTP path {path.text!r}: {{tenant}} would be believed by nobody, since the tenant is known by its "
            f"{source.proof}: leave it out"
        )


Trigger = TimerTrigger | QueueTrigger | HttpTrigger
