"""Setting up the logs of a process: structlog's and the standard library's, in one stream and one form."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from io import StringIO
from json import dumps
from typing import TextIO

import orjson
import structlog
from structlog.contextvars import merge_contextvars
from structlog.stdlib import ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger
from typing_extensions import override

from api_exchange_core.adapters.telemetry.redaction import Redaction
from api_exchange_core.domain.redaction import redacted

_EXTRA = structlog.stdlib.ExtraAdder()
_TALKATIVE = ("alembic", "azure", "boto3", "botocore", "httpx", "urllib3")
"""Libraries that log each of their steps or requests at INFO."""

# structlog's own default shows the values of local variables, payloads and secrets among them.
_TRACEBACKS = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
_IDS = ("correlation_id", "causation_id", "trace_id", "queue", "operation")
"""Left out of the columns for people: whoever follows them reads JSON."""
_USUAL = {"attempt": 1, "entities": 0, "new_versions": 0, "outputs": 0}
"""Left out of the columns for people if it is this."""


def configure_logging(*, json: bool, level: str = "INFO", secret_names: Iterable[str] = ()) -> None:
    """Set up structlog and the standard library's logging for this process: one line an event, to standard error.

    Lines that are logged while a message is processed carry its ids, whichever of the two they are logged with.

    Args:
        json: JSON lines for machines; otherwise columns for people, coloured on a terminal.
        level: DEBUG, INFO, WARNING or ERROR. At DEBUG the HTTP clients tell of each request as well.
        secret_names: names of fields to hide besides passwords, tokens, keys and their like.
    """
    threshold = logging.getLevelNamesMapping()[level]
    redaction = Redaction(secret_names)
    first: list[Processor] = [
        merge_contextvars,
        structlog.processors.add_log_level,
        _moment if json else _time_of_day,
    ]
    last: list[Processor] = (
        [_traceback, redaction, structlog.processors.JSONRenderer(serializer=_dumps)]
        if json
        else [_for_people, redaction, _columns(sys.stderr)]
    )
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _configure_standard_library(first, last, threshold)


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that configuring anew replaces it and nobody else's."""


def _configure_standard_library(first: list[Processor], last: list[Processor], threshold: int) -> None:
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*first, structlog.stdlib.add_logger_name, _EXTRA, _of_one_handler],
            processors=[ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    for other in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(threshold)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET if threshold <= logging.DEBUG else logging.WARNING)
    logging.getLogger("httpcore").setLevel(
        logging.WARNING
    )  # below that it shows whole headers, cookies among them
    _hide_queries(logging.getLogger("httpx"))


class _WithoutQueries(logging.Filter):
    """Takes queries out of the addresses that httpx tells of: cursors, keys, and what was searched for."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                one.copy_with(query=None, fragment=None, userinfo=b"") if hasattr(one, "copy_with") else one
                for one in record.args
            )
        return True


def _hide_queries(logger: logging.Logger) -> None:
    for other in [one for one in logger.filters if isinstance(one, _WithoutQueries)]:
        logger.removeFilter(other)
    logger.addFilter(_WithoutQueries())


def _columns(stream: TextIO) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), sort_keys=False, pad_event_to=0, exception_formatter=_plain_traceback
    )


def _plain_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    text = StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    stream.write(redacted(text.getvalue()))


def _traceback(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return _TRACEBACKS(logger, method, event) if "exc_info" in event else event


def _moment(_: object, __: str, event: EventDict) -> EventDict:
    event["timestamp"] = f"{datetime.now(UTC).isoformat(timespec='microseconds')[:-6]}Z"
    return event


def _time_of_day(_: object, __: str, event: EventDict) -> EventDict:
    event["timestamp"] = datetime.now().astimezone().strftime("%H:%M:%S")
    return event


def _for_people(_: object, __: str, event: EventDict) -> EventDict:
    return {name: value for name, value in event.items() if name not in _IDS and _USUAL.get(name) != value}


def _of_one_handler(_: object, __: str, event: EventDict) -> EventDict:
    event.pop("message", None)  # left on the record by another handler's formatter; it is the event
    event.pop("asctime", None)
    return event


def _dumps(event: dict[str, object], **_: object) -> str:
    first = {"timestamp": event.pop("timestamp"), "level": event.pop("level"), "event": event.pop("event")}
    event = {**first, **event}
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:  # lone surrogates and integers beyond 64 bits
        return dumps(event, default=str)
