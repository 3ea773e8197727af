"""Logs of a function app."""

from __future__ import annotations

import logging
from typing import Final

from api_exchange_core.adapters.telemetry.logging import configure_logging

_TALKATIVE: Final = ("azure.core.pipeline.policies.http_logging_policy", "azure.identity", "azure.servicebus")


def configure_logs(level: str) -> None:
    """Write JSON lines to standard error, which the Functions host hands on to Application Insights.

    The handler that the worker has put on the root logger goes: it would send each line of the standard library's
    logging a second time. The client libraries tell each request at INFO; warnings of theirs are heard.
    """
    configure_logging(json=True, level=level)
    root = logging.getLogger()
    for handler in [one for one in root.handlers if type(one).__module__.startswith("azure_functions")]:
        root.removeHandler(handler)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
