"""Names that every platform accepts, and the identifiers that travel in messages.

A queue name must be valid on all of SQS (1 to 80 of ``[A-Za-z0-9_-]``), Service Bus (1 to 260) and Storage
Queue (3 to 63 of lower-case letters, digits and single hyphens, no hyphen at an end), and still be when
``-dlq`` is appended. Storage Queue is the narrowest: "Naming queues and metadata", Azure Storage REST reference.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NewType

from api_exchange_core.domain.errors import DeclarationError, TenantError

TenantId = NewType("TenantId", str)
QueueName = NewType("QueueName", str)
FunctionName = NewType("FunctionName", str)
MessageId = NewType("MessageId", str)
EntityId = NewType("EntityId", str)

DEAD_LETTER_SUFFIX = "-dlq"
MAX_QUEUE_NAME = 63 - len(DEAD_LETTER_SUFFIX)
MAX_IDENTIFIER = 255
"""Longest external id, canonical type, source or message id, in characters; columns are as wide."""

MAX_COUNT = 2**31 - 1
"""Largest attempt or version; columns are as wide."""

MAX_TENANT = 64
"""Longest id of a tenant, in characters; columns are as wide."""

_PORTABLE = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")
_TENANT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


def queue_name(value: str) -> QueueName:
    """Check that *value* names a queue on every platform.

    Raises:
        DeclarationError: it does not; the message says which characters do.
    """
    return QueueName(_portable(value, kind="queue name", longest=MAX_QUEUE_NAME))


def function_name(value: str) -> FunctionName:
    """Check that *value* names a function; the same alphabet as a queue, since a timer's queue is named for it.

    Raises:
        DeclarationError: it does not.
    """
    return FunctionName(_portable(value, kind="function name", longest=MAX_QUEUE_NAME))


def tenant_id(value: str) -> TenantId:
    """Check that *value* can be a tenant: 1 to 64 letters, digits, ``.``, ``_`` and ``-``, none of these at an end.

    Raises:
        TenantError: it cannot.
    """
    if not isinstance(value, str) or len(value) > MAX_TENANT or not _is_tenant(value):
        raise TenantError(
            f"{value!r} is no tenant id: use 1 to 64 letters, digits, '.', '_' or '-', "
            "with a letter or digit at both ends"
        )
    return TenantId(value)


@lru_cache(maxsize=4096)
def _is_tenant(value: str) -> bool:
    """Remembered, since each message is asked several times; of what is short only, or strangers fill the memory."""
    return _TENANT.fullmatch(value) is not None


def dead_letter_queue(queue: QueueName) -> QueueName:
    """The queue that holds the dead letters of *queue*."""
    return QueueName(queue + DEAD_LETTER_SUFFIX)


def _portable(value: str, *, kind: str, longest: int) -> str:
    if not isinstance(value, str) or not _PORTABLE.fullmatch(value) or not 3 <= len(value) <= longest:
        raise DeclarationError(
            f"{value!r} is no portable {kind}: use 3 to {longest} lower-case letters, digits and single hyphens, "
            "with a letter or digit at both ends (the rule that SQS, Service Bus and Storage Queue share)"
        )
    if value.endswith(DEAD_LETTER_SUFFIX):
        raise DeclarationError(
            f"{value!r} cannot be a {kind}: names that end in '-dlq' are kept for dead letters"
        )
    return value
