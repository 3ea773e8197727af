"""What functions are declared with."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from api_exchange_core.domain.retry import RetryPolicy
from api_exchange_core.domain.schedule import Schedule

_MINUTES = [minutes for minutes in range(1, 61) if 60 % minutes == 0]
_HOURS = [hours for hours in range(1, 25) if 24 % hours == 0]


def retry_policies() -> SearchStrategy[RetryPolicy]:
    """Retry policies, from one attempt to twenty, with waits from a microsecond to a week."""
    delays = st.timedeltas(timedelta.resolution, timedelta(days=7))
    return st.builds(
        lambda attempts, delays, multiplier: RetryPolicy(
            max_attempts=attempts, base_delay=min(delays), max_delay=max(delays), multiplier=multiplier
        ),
        st.integers(min_value=1, max_value=20),
        st.tuples(delays, delays),
        st.floats(min_value=1, max_value=10),
    )


def schedules() -> SearchStrategy[Schedule]:
    """Schedules: even intervals and cron expressions that fire at least once a year."""
    minute, hour = st.integers(0, 59), st.integers(0, 23)
    return st.one_of(
        st.sampled_from(_MINUTES).map(lambda minutes: Schedule.every(minutes=minutes)),
        st.sampled_from(_HOURS).map(lambda hours: Schedule.every(hours=hours)),
        st.builds(lambda m, h: Schedule.cron(f"{m} {h} * * *"), minute, hour),
        st.builds(lambda m, h, d: Schedule.cron(f"{m} {h} * * {d}"), minute, hour, st.integers(0, 6)),
        st.builds(lambda m, h, d: Schedule.cron(f"{m} {h} {d} * *"), minute, hour, st.integers(1, 28)),
    )
