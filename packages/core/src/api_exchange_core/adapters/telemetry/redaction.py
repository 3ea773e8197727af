"""Taking secrets out of what is logged, by the name of a value, by its type, and by the shape of a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from api_exchange_core.domain.errors import ExchangeError
from api_exchange_core.domain.redaction import REDACTED, is_secret_name, may_hold_secret, redacted

_DEEPEST = 8
_OURS = frozenset(
    {
        "timestamp", "level", "outcome", "function", "queue", "tenant_id", "message_id", "correlation_id",
        "causation_id", "trace_id", "operation", "attempt", "waited_ms", "duration_ms", "commit_ms", "entities",
        "new_versions", "outputs", "fingerprint",
    }
)  # fmt: skip
"""Names, ids and numbers of the framework, which need no look; nearly all of most lines."""
_NUMBERS = frozenset({int, float, bool, type(None)})
_PLAIN = (datetime, date, time, timedelta, Decimal, UUID)


class Redaction:
    """A structlog processor, for values however deep they are nested.

    What a name says is a secret is hidden whatever it holds. Of the rest a `SecretStr` and its like are hidden, bytes
    are counted, of an exception that is not ours only the class is told (its text may quote anything), and texts are
    searched for what looks like a secret.

    Args:
        names: further names of secrets, such as ``iban``; one of them anywhere in a name is enough.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._also = frozenset(name.lower().replace("_", "").replace("-", "") for name in names)

    def __call__(self, _: object, __: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
        """The event without secrets. A traceback that is still to be rendered is left to whoever renders it."""
        if self._is_harmless(event):
            return event
        traceback = {"exc_info": event.pop("exc_info")} if "exc_info" in event else {}
        return self._mapping(event, 0) | traceback

    def _is_harmless(self, event: Mapping[str, object]) -> bool:
        """Whether a flat event of texts and numbers has nothing to hide: almost every line, so this is quick."""
        texts = []
        for name, value in event.items():
            is_ours = name in _OURS
            if isinstance(value, str):
                if not is_ours:
                    texts.append(value)
            elif type(value) not in _NUMBERS:
                return False
            if not is_ours and is_secret_name(name, self._also):
                return False
        return not may_hold_secret("\n".join(texts))

    def _mapping(self, values: Mapping[Any, object], depth: int) -> dict[str, object]:
        told = {}
        for key, value in values.items():
            name = str(_scalar(key))
            told[name] = REDACTED if self._is_secret(name, value) else self._value(value, depth)
        return told

    def _is_secret(self, name: str, value: object) -> bool:
        return value is not None and not isinstance(value, bool) and is_secret_name(name, self._also)

    def _value(self, value: object, depth: int) -> object:
        if not isinstance(value, Mapping | BaseModel | list | tuple | set | frozenset):
            return _scalar(value)
        if depth == _DEEPEST:
            return f"<{type(value).__name__}>"
        if isinstance(value, Mapping | BaseModel):
            return self._mapping(dict(value), depth + 1)
        return [self._value(one, depth + 1) for one in value]


def _scalar(value: object) -> object:
    if isinstance(value, str):
        return redacted(value)
    if type(value) in _NUMBERS or isinstance(value, _PLAIN):
        return value
    if hasattr(value, "get_secret_value"):
        return REDACTED
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value):,} bytes>"
    return _error(value) if isinstance(value, BaseException) else _text(value)


def _error(error: BaseException) -> str:
    name = type(error).__name__
    return f"{name}: {redacted(str(error))}" if isinstance(error, ExchangeError) else name


def _text(value: object) -> str:
    try:
        return redacted(str(value))
    except Exception:  # noqa: BLE001 - anybody's __str__; the line is worth more than this value of it
        return f"<{type(value).__name__}>"
