"""Names, identifiers and moments."""

from __future__ import annotations

from datetime import UTC, datetime
from string import ascii_letters, ascii_lowercase, digits
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from api_exchange_core.domain.names import (
    DEAD_LETTER_SUFFIX,
    MAX_IDENTIFIER,
    MAX_QUEUE_NAME,
    MAX_TENANT,
    FunctionName,
    QueueName,
    TenantId,
)

_LOWER: Final = ascii_lowercase + digits
_ENDS: Final = ascii_letters + digits


def tenant_ids() -> SearchStrategy[TenantId]:
    """Tenant ids: letters of both cases, digits, dots, underscores, hyphens; up to 64 of them."""
    ends = st.sampled_from(_ENDS)
    longer = st.tuples(ends, st.text(_ENDS + "._-", max_size=MAX_TENANT - 2), ends).map("".join)
    return (ends | longer).map(TenantId)


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
    any_script = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)
    return (
        st.uuids().map(str) | any_script | st.sampled_from(["a b", "x" * MAX_IDENTIFIER, "../../x", "'; --"])
    )


def identifiers() -> SearchStrategy[str]:
    """What a source may call its things: 1 to 255 characters, control characters and line ends among them."""
    return st.text(characters(but="\x00"), min_size=1, max_size=MAX_IDENTIFIER)


def characters(*, but: str = "") -> SearchStrategy[str]:
    """All characters that UTF-8 writes, which are all but surrogates.

    Not ``codec="utf-8"``: Hypothesis would try each character, for a second and a half in every new folder.

    Args:
        but: characters that are left out.
    """
    return st.characters(exclude_categories=["Cs"], exclude_characters=but)


def _portable_names() -> SearchStrategy[str]:
    words = st.lists(st.text(_LOWER, min_size=1, max_size=9), min_size=1, max_size=6)
    return (words.map("-".join) | st.just("q" * MAX_QUEUE_NAME)).filter(
        lambda name: 3 <= len(name) <= MAX_QUEUE_NAME and not name.endswith(DEAD_LETTER_SUFFIX)
    )
