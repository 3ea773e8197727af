"""Watching never fails the work that is watched."""

from __future__ import annotations

from datetime import timedelta

import structlog

from api_exchange_core.adapters.telemetry.observer import StructlogObserver
from api_exchange_core.ports.observer import Handled, Outcome


def _broken_pipe(*_: object) -> structlog.typing.EventDict:
    raise BrokenPipeError


def test_a_log_that_cannot_be_written_fails_nothing() -> None:
    observer = StructlogObserver(
        structlog.wrap_logger(
            structlog.PrintLogger(), processors=[_broken_pipe], wrapper_class=structlog.BoundLogger
        )
    )
    observer.event("worker.error", reason="what")
    observer.handled(
        Handled(function="step", queue="inbox", outcome=Outcome.RETRY, attempt=1, duration=timedelta(0))
    )
