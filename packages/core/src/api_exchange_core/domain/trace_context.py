"""Where in a distributed trace a message was made: W3C Trace Context, as it travels in the envelope."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from api_exchange_core.domain.errors import InvalidMessageError

# W3C Trace Context, "traceparent Header" and "tracestate Header". Versions after 00 may have more fields behind.
_TRACEPARENT = re.compile(
    r"(?:00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[\x21-\x7e]{0,199})?)"
)
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The span that a message was made in.

    Args:
        traceparent: version, trace id, span id and flags, as in ``00-<32 hex>-<16 hex>-01``.
        tracestate: what the tracing systems on the way have added for themselves.

    Raises:
        InvalidMessageError: a text is not in the form of its specification.
    """

    traceparent: str
    tracestate: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not _TRACEPARENT.fullmatch(self.traceparent):
            raise InvalidMessageError("a traceparent is '00-', 32 and 16 hexadecimal digits, and flags")
        if self.tracestate is not None and not _TRACESTATE.fullmatch(self.tracestate):
            raise InvalidMessageError("a tracestate is 1 to 512 printable ASCII characters")

    @property
    def trace_id(self) -> str:
        """The trace, in 32 hexadecimal digits."""
        return self.traceparent[3:35]

    @property
    def span_id(self) -> str:
        """The span, in 16 hexadecimal digits."""
        return self.traceparent[36:52]

    @property
    def flags(self) -> str:
        """Two hexadecimal digits; the lowest bit says that the trace is recorded."""
        return self.traceparent[53:55]


def trace_context(traceparent: object, tracestate: object = None) -> TraceContext | None:
    """What somebody else has sent along.

    None if it is not in the form of the specification: a broken trace is no reason to refuse a message.
    """
    if not isinstance(traceparent, str) or not _TRACEPARENT.fullmatch(traceparent):
        return None
    if not isinstance(tracestate, str) or not _TRACESTATE.fullmatch(tracestate):
        tracestate = None
    return TraceContext(traceparent, tracestate)
