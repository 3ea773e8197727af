"""Names, identifiers and moments."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from api_exchange_core.domain.names import (
    DEAD_LETTER_SUFFIX,
    MAX_IDENTIFIER,
    MAX_QUEUE_NAME,
    FunctionName,
    QueueName,
    TenantId,
)

_PORTABLE = r"[a-z0-9](-?[a-z0-9])*"
_TENANT = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?"


def tenant_ids() -> SearchStrategy[TenantId]:
    """Tenant ids: letters of both cases, digits, dots, underscores, hyphens; up to 64 of them."""
    return st.from_regex(_TENANT, fullmatch=True).map(TenantId)


def queue_names() -> SearchStrategy[QueueName]:
    """Names that every platform takes for a queue."""
    return _portable_names().map(QueueName)


def function_names() -> SearchStrategy[FunctionName]:
    """Names that every platform takes for a function."""
    return _portable_names().map(FunctionName)


def moments() -> SearchStrategy[datetime]:
    """Times, aware and in UTC, from 1970 to 2100, whole seconds and microseconds."""
    return st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - given its zone below
        lambda moment: moment.replace(tzinfo=UTC, fold=0)
    )


def printable_texts() -> SearchStrategy[str]:
    """Identifiers of messages: printable characters of any script; the longest that there may be among them."""
    any_script = st.text(
        st.characters(exclude_categories=("C", "Z")).filter(str.isprintable), min_size=1, max_size=12
    )
    return (
        st.uuids().map(str) | any_script | st.sampled_from(["a b", "x" * MAX_IDENTIFIER, "../../x", "'; --"])
    )


def identifiers() -> SearchStrategy[str]:
    """What a source may call its things: 1 to 255 characters, control characters and line ends among them."""
    every_character = st.characters(codec="utf-8", exclude_characters="\x00")
    return st.text(every_character, min_size=1, max_size=MAX_IDENTIFIER)


def _portable_names() -> SearchStrategy[str]:
    return st.from_regex(_PORTABLE, fullmatch=True).filter(
        lambda name: 3 <= len(name) <= MAX_QUEUE_NAME and not name.endswith(DEAD_LETTER_SUFFIX)
    )
