"""A process that stood still for longer than its renewals may go on."""

from __future__ import annotations

from datetime import timedelta

from api_exchange_core.local.heartbeat import Heartbeat
from api_exchange_testing import RecordingObserver


def test_what_should_have_ended_while_the_process_stood_still_is_never_due_again() -> None:
    seconds = [0.0]
    heartbeat = Heartbeat(RecordingObserver(), now=lambda: seconds[0])
    heartbeat.close()  # without a thread of its own
    with heartbeat.beating(lambda: None, every=timedelta(seconds=10), until=60):
        assert heartbeat._next_due() == 10
        seconds[0] = 600
        heartbeat.beat()
        assert heartbeat._next_due() is None
