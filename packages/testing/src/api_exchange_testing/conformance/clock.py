"""What every `Clock` does."""

from __future__ import annotations

from datetime import timedelta

from api_exchange_core.ports.clock import Clock
from api_exchange_testing.conformance.suite import Suite


class ClockSuite(Suite):
    """Needs a fixture `subject` that returns the `Clock`."""

    def test_the_time_is_aware_and_in_utc(self, subject: Clock) -> None:
        assert subject.now().utcoffset() == timedelta(0)
