"""Output handlers: a processor's instruction, as data, where its output goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import PurePosixPath

from api_exchange_core.domain.entity import EntityReference
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import MAX_IDENTIFIER, QueueName, queue_name

MAX_DELAY = timedelta(days=7)
"""Longest delay of an output: what Storage Queue allows (Put Message, visibilitytimeout). Adapters whose platform
allows less get there by sending the message again."""

_MAX_PROPERTIES = 8  # SQS takes 10 message attributes; two are the framework's


class OutputHandler:
    """Where output goes. One of `QueueOutputHandler`, `FileOutputHandler` and `NoOutputHandler`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class QueueOutputHandler(OutputHandler):
    """Send to a queue.

    Args:
        queue: its portable name.
        delay: keep the message invisible for so long, at most `MAX_DELAY`.
        ordering_key: messages of one tenant with the same key are delivered one after the other, in order.
        properties: up to 8 texts that brokers can filter on.

    Raises:
        DeclarationError: a value that no platform takes.
    """

    queue: QueueName
    delay: timedelta = timedelta(0)
    ordering_key: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __init__(
        self,
        queue: str,
        *,
        delay: timedelta = timedelta(0),
        ordering_key: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(delay, timedelta) or not timedelta(0) <= delay <= MAX_DELAY:
            raise DeclarationError(
                f"output to {queue!r}: delay must be a timedelta from 0 to {MAX_DELAY}, not {delay!r}"
            )
        if ordering_key is not None and not (_is_text(ordering_key) and 0 < len(ordering_key) <= 128):
            raise DeclarationError(
                f"output to {queue!r}: an ordering key is a text of 1 to 128 printable characters"
            )
        if properties is not None:
            _check_properties(queue, properties)
        object.__setattr__(self, "queue", queue_name(queue))
        object.__setattr__(self, "delay", delay)
        object.__setattr__(self, "ordering_key", ordering_key)
        object.__setattr__(self, "properties", dict(properties) if properties else {})


@dataclass(frozen=True, slots=True)
class FileOutputHandler(OutputHandler):
    """Append the message as a line to a JSON Lines file below the tenant's own output folder.

    Args:
        name: relative path with forward slashes, such as ``exports/orders.jsonl``.

    Raises:
        DeclarationError: the path could leave the folder, or is not one that every file system takes.
    """

    name: str

    def __post_init__(self) -> None:
        path = PurePosixPath(self.name)
        parts = self.name.split("/")
        if (
            not self.name.isprintable()
            or len(self.name) > MAX_IDENTIFIER - len("file:")
            or any(part.strip(" .") != part or part == "" for part in parts)
            or any(character in '\\:*?"<>|' for character in self.name)
            or path.is_absolute()
        ):
            raise DeclarationError(
                f"{self.name!r} is no name for an output file: use a relative path with '/' between its parts, "
                r"none of them empty, '.' or '..', and none of \ : * ? < > | or quotes"
            )


@dataclass(frozen=True, slots=True)
class NoOutputHandler(OutputHandler):
    """Say that the output ends here on purpose."""


@dataclass(frozen=True, slots=True)
class OutputMessage:
    """A message that a processor made itself; the framework gives it ids, tenant and correlation."""

    payload: JsonValue = field(repr=False)
    entity: EntityReference | None = None
    type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)


def _check_properties(queue: str, properties: Mapping[str, str]) -> None:
    if len(properties) > _MAX_PROPERTIES:
        raise DeclarationError(
            f"output to {queue!r}: at most {_MAX_PROPERTIES} properties, not {len(properties)}"
        )
    wrong = [name for name, value in properties.items() if not (_is_text(name) and _is_text(value))]
    if wrong:
        raise DeclarationError(f"output to {queue!r}: properties are printable texts, and {wrong!r} are not")


def _is_text(value: object) -> bool:
    """Whether every store and broker takes *value* as a text: no NUL, no lone surrogate."""
    return isinstance(value, str) and value.isprintable()
