"""What a token costs that is in memory."""

from __future__ import annotations

import time
from datetime import timedelta

from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.application.api_token_service import ApiTokenService
from api_exchange_core.domain.tenant import tenant_context
from api_exchange_testing import RecordingObserver
from api_exchange_testing.memory.token_store import InMemoryTokenStore
from benchmarks.tokens.process import TENANT, services_over


def microseconds(calls: int = 200_000) -> float:
    """Of one `get_valid_token` while the token is fresh."""
    clock = SystemClock()
    services = services_over(InMemoryTokenStore(clock), clock, RecordingObserver())
    service = ApiTokenService("shop", lambda: ("token", timedelta(hours=1)))
    with services.at_work(), tenant_context(TENANT):
        service.get_valid_token()
        began = time.perf_counter()
        for _ in range(calls):
            service.get_valid_token()
        return (time.perf_counter() - began) / calls * 1_000_000
