"""Points in time and spans of it as columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine
from typing_extensions import override

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: aware in, UTC out. A naive datetime is refused with a ValueError.

    PostgreSQL has ``timestamptz``. SQLite has no such type, and gets whole microseconds since 1970, which compare
    and sort as integers and lose nothing.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        stored: TypeEngine[Any] = BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(stored)

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | int | None:
        if value is None:
            return None
        check_aware(value)
        return (value - _EPOCH) // _MICROSECOND if dialect.name == "sqlite" else value

    @override
    def process_result_value(self, value: datetime | int | None, dialect: Dialect) -> datetime | None:
        if isinstance(value, int):
            return _EPOCH + timedelta(microseconds=value)
        return None if value is None else value.astimezone(UTC)


class Duration(TypeDecorator[timedelta]):
    """A span of time in whole microseconds."""

    impl = BigInteger
    cache_ok = True

    @override
    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> int | None:
        return None if value is None else microseconds(value)

    @override
    def process_result_value(self, value: int | None, dialect: Dialect) -> timedelta | None:
        return None if value is None else timedelta(microseconds=value)


def microseconds(span: timedelta) -> int:
    """*span* in whole microseconds."""
    return span // _MICROSECOND


def check_aware(value: datetime) -> None:
    """Refuse a datetime that does not say in which time zone it is.

    Raises:
        ValueError: it does not.
    """
    if value.utcoffset() is None:
        raise ValueError(f"{value!r} has no time zone: a stored time is aware, such as datetime.now(UTC)")
