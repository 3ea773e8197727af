"""What every `Sleeper` does."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_testing.conformance.suite import Suite

_MOMENT = timedelta(milliseconds=4)
_SLACK = timedelta(
    milliseconds=2
)  # clocks that tell the time of day and those that time a wait differ a little


class SleeperSuite(Suite):
    """Needs fixtures `sleeper` and `ticking`: the `Sleeper`, and the `Clock` by which it waits."""

    def test_after_a_wait_its_time_has_passed(self, sleeper: Sleeper, ticking: Clock) -> None:
        began = ticking.now()
        sleeper.sleep(_MOMENT)
        assert ticking.now() - began >= _MOMENT - _SLACK

    def test_after_a_wait_on_the_event_loop_its_time_has_passed(
        self, sleeper: Sleeper, ticking: Clock
    ) -> None:
        began = ticking.now()
        asyncio.run(sleeper.sleep_async(_MOMENT))
        assert ticking.now() - began >= _MOMENT - _SLACK

    def test_no_wait_is_no_wait(self, sleeper: Sleeper) -> None:
        sleeper.sleep(timedelta(0))
        asyncio.run(sleeper.sleep_async(timedelta(0)))
