from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Engine, MetaData, Table, select
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.exc import StatementError

from api_exchange_core.adapters.sql.time_types import Duration, UtcDateTime

SQLITE = sqlite_dialect()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.builds(
    lambda seconds, microseconds, zone: (
        EPOCH + timedelta(seconds=seconds, microseconds=microseconds)
    ).astimezone(zone),
    st.integers(-60_000_000_000, 250_000_000_000),
    st.integers(0, 999_999),
    ZONES,
)
table = Table("moments", MetaData(), Column("at", UtcDateTime), Column("span", Duration))


def stored(moment: datetime) -> int:
    number = UtcDateTime().process_bind_param(moment, SQLITE)
    assert isinstance(number, int)
    return number


@given(MOMENTS)
def test_on_sqlite_a_moment_comes_back_to_the_microsecond_and_in_utc(moment: datetime) -> None:
    back = UtcDateTime().process_result_value(stored(moment), SQLITE)
    assert back == moment
    assert back is not None
    assert back.tzinfo is UTC


@given(MOMENTS, MOMENTS)
def test_on_sqlite_moments_compare_as_their_numbers_do(one: datetime, other: datetime) -> None:
    assert (one < other) == (stored(one) < stored(other))


def test_moments_and_spans_survive_the_database(empty_engine: Engine) -> None:
    away = timezone(timedelta(hours=-11))
    rows: list[dict[str, Any]] = [
        {"at": datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "span": timedelta(microseconds=1)},
        {"at": datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=away), "span": timedelta(days=7)},
    ]
    table.create(empty_engine)
    with empty_engine.begin() as connection:
        connection.execute(table.insert(), rows)
        found = connection.execute(select(table).order_by(table.c.at)).mappings().all()
    assert [dict(row) for row in found] == rows
    assert [row["at"].utcoffset() for row in found] == [timedelta(0)] * 2


def test_nothing_stays_nothing(empty_engine: Engine) -> None:
    table.create(empty_engine)
    with empty_engine.begin() as connection:
        connection.execute(table.insert(), [{"at": None, "span": None}])
        assert connection.execute(select(table)).one() == (None, None)


def test_a_moment_without_time_zone_is_refused(empty_engine: Engine) -> None:
    naive = EPOCH.replace(tzinfo=None)
    table.create(empty_engine)
    with pytest.raises(StatementError, match="time zone"), empty_engine.begin() as connection:
        connection.execute(table.insert(), [{"at": naive, "span": None}])
