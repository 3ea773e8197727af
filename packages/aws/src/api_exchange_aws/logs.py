"""Logs of a Lambda function."""

from __future__ import annotations

import logging

from api_exchange_core.adapters.telemetry.logging import configure_logging


def configure_logs(level: str) -> None:
    """Write JSON lines to standard error, which Lambda keeps in CloudWatch Logs.

    The handler that the runtime client has put on the root logger goes: it would write each line of the standard
    library's logging a second time.
    """
    configure_logging(json=True, level=level)
    root = logging.getLogger()
    for handler in [one for one in root.handlers if type(one).__module__.startswith("awslambdaric")]:
        root.removeHandler(handler)
