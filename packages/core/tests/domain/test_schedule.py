from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.schedule import Schedule

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1950, 1, 1), datetime(2150, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def items(draw: st.DrawFn, lowest: int, highest: int, words: tuple[str, ...]) -> str:
    numbers = st.integers(lowest, highest)

    def written(number: int) -> str:
        word = words[number - lowest] if number - lowest < len(words) else str(number)
        return draw(st.sampled_from([str(number), f"{number:02}", word, word.upper()]))

    form = draw(st.sampled_from(["number", "range", "step", "range and step"]))
    if form == "number":
        return written(draw(numbers))
    first, last = sorted((draw(numbers), draw(numbers)))
    span = f"{written(first)}-{written(last)}" if form != "step" and first < last else "*"
    return span if form == "range" else f"{span}/{draw(st.integers(1, highest - lowest))}"


def fields(lowest: int, highest: int, words: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    return st.just("*") | st.lists(items(lowest, highest, words), min_size=1, max_size=3).map(",".join)


MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@st.composite
def expressions(draw: st.DrawFn) -> str:
    month = draw(fields(1, 12, MONTHS))
    # 29 as the latest first day: an expression that never fires has a test of its own
    day, weekday = draw(st.tuples(fields(1, 29), st.just("*")) | st.tuples(st.just("*"), fields(0, 7, DAYS)))
    return f"{draw(fields(0, 59))} {draw(fields(0, 23))} {day} {month} {weekday}"


def refusal(expression: Any) -> str:
    with pytest.raises(DeclarationError) as caught:
        Schedule.cron(expression)
    return str(caught.value)


@given(expressions(), MOMENTS)
def test_a_cron_expression_fires_when_cronsim_says(expression: str, moment: datetime) -> None:
    oracle = CronSim(expression, moment)
    at = moment
    for expected in islice(oracle, 4):
        at = Schedule.cron(expression).next_after(at)
        assert at == expected


@given(expressions(), MOMENTS)
def test_the_latest_time_is_the_one_that_cronsim_finds_backwards(expression: str, moment: datetime) -> None:
    # going backwards cronsim includes the second that it is in the midst of
    expected = next(CronSim(expression, moment + timedelta(microseconds=1), reverse=True))
    assert Schedule.cron(expression).latest_at(moment) == expected


@given(expressions(), MOMENTS)
def test_nothing_is_scheduled_between_the_latest_time_and_the_next(expression: str, moment: datetime) -> None:
    schedule = Schedule.cron(expression)
    latest, following = schedule.latest_at(moment), schedule.next_after(moment)
    assert latest <= moment < following
    assert schedule.next_after(latest) == following
    assert schedule.latest_at(following) == following
    assert schedule.latest_at(following - timedelta(microseconds=1)) == latest


@given(expressions())
def test_the_normal_form_reads_back_as_the_same_schedule(expression: str) -> None:
    schedule = Schedule.cron(expression)
    normal = Schedule.cron(schedule.cron_expression)
    assert normal == schedule
    assert hash(normal) == hash(schedule)
    assert normal.cron_expression == schedule.cron_expression
    assert set(schedule.cron_expression) <= set("0123456789*/,- ")
    assert not set("/7") & set(schedule.cron_expression.split()[4])


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("*/15 6-20 * * 1-5", "*/15 6-20 * * 1-5"),
        ("7-59/20 0 1,15 jan-mar *", "7,27,47 0 1,15 1-3 *"),
        ("0,30 */1 1-31 * *", "*/30 * * * *"),
        ("00 00 * * Fri,SUN-mon,7", "0 0 * * 0,1,5"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("*/7 * * */6 *", "0,7,14,21,28,35,42,49,56 * * */6 *"),
        ("5,3,4,4 * * * *", "3-5 * * * *"),
    ],
)
def test_the_normal_form_is_numbers_in_order(written: str, normal: str) -> None:
    assert Schedule.cron(written).cron_expression == normal


@pytest.mark.parametrize(
    ("schedule", "text", "cron", "following"),
    [
        (Schedule.every(minutes=1), "every minute", "* * * * *", "2026-03-10T12:01"),
        (Schedule.every(minutes=5), "every 5 minutes", "*/5 * * * *", "2026-03-10T12:05"),
        (Schedule.every(minutes=60), "every 60 minutes", "0 * * * *", "2026-03-10T13:00"),
        (Schedule.every(hours=1), "every hour", "0 * * * *", "2026-03-10T13:00"),
        (Schedule.every(hours=8), "every 8 hours", "0 */8 * * *", "2026-03-10T16:00"),
        (Schedule.every(hours=24), "every 24 hours", "0 0 * * *", "2026-03-11T00:00"),
        (Schedule.every(days=1), "every day", "0 0 * * *", "2026-03-11T00:00"),
    ],
)
def test_an_interval_starts_at_the_full_hour_or_at_midnight(
    schedule: Schedule, text: str, cron: str, following: str
) -> None:
    assert (schedule.text, str(schedule)) == (text, text)
    assert schedule.cron_expression == cron
    assert schedule.next_after(NOON) == datetime.fromisoformat(following).replace(tzinfo=UTC)


@given(st.sampled_from([1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60]), MOMENTS)
def test_an_interval_is_as_long_as_it_says_across_hours_and_days(minutes: int, moment: datetime) -> None:
    schedule = Schedule.every(minutes=minutes)
    assert schedule.next_after(moment) - schedule.latest_at(moment) == timedelta(minutes=minutes)


def test_schedules_are_equal_when_they_fire_at_the_same_times() -> None:
    assert Schedule.every(minutes=5) == Schedule.cron("*/5 * * * *")
    assert len({Schedule.every(hours=24), Schedule.every(days=1), Schedule.cron("0 0 * * *")}) == 1
    assert Schedule.every(minutes=5) != Schedule.every(minutes=6)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "exactly one of minutes, hours and days, not none"),
        ({"minutes": 5, "hours": 1}, "not {'minutes': 5, 'hours': 1}"),
        ({"minutes": 7}, "nearest is Schedule.every(minutes=6)"),
        ({"minutes": 90}, "nearest is Schedule.every(hours=1)"),
        ({"minutes": 121}, "nearest is Schedule.every(hours=2)"),
        ({"hours": 5}, "hours can be 1, 2, 3, 4, 6, 8, 12, 24. The nearest is Schedule.every(hours=4)"),
        ({"days": 2}, "nearest is Schedule.every(days=1). For anything else use Schedule.cron("),
        ({"minutes": -5}, "minutes can be 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60"),
        ({"minutes": 2.5}, "Schedule.every(minutes=2.5)"),
        ({"minutes": True}, "Schedule.every(minutes=True)"),
    ],
)
def test_an_interval_that_does_not_divide_evenly_is_refused_with_the_nearest_that_does(
    arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        Schedule.every(**arguments)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("* * * *", "4 fields instead of five; write minute hour day-of-month month day-of-week"),
        ("0 */5 * * * *", "6 fields instead of five"),
        ("0 */5 * * * *", "leave out NCRONTAB's seconds, EventBridge's year"),
        ("", "0 fields"),
        ("@daily", "write '0 0 * * *'"),
        (" @Hourly ", "write '0 * * * *'"),
        ("@reboot", "write five fields"),
        ("60 * * * *", "field 1 (minute): '60' is not a value of this field; use 0 to 59"),
        ("-1 * * * *", "field 1 (minute): '' is not a value"),
        ("0 24 * * *", "field 2 (hour): '24' is not a value of this field; use 0 to 23"),
        ("0 0 0 * *", "field 3 (day-of-month): '0' is not a value of this field; use 1 to 31"),
        ("0 0 * 13 *", "field 4 (month): '13' is not a value of this field; use 1 to 12 or jan to dec"),
        ("0 0 * * 8", "field 5 (day-of-week): '8' is not a value of this field; use 0 to 7 or sun to sat"),
        ("0 0 * mon *", "field 4 (month): 'mon' is not a value"),
        ("0 0 * * monday", "field 5 (day-of-week): 'monday' is not a value"),
        ("1,,2 * * * *", "field 1 (minute): '' is not a value"),
        ("0 " + "9" * 5000 + " * * *", "field 2 (hour)"),
        ("\u0665 * * * *", "field 1 (minute)"),
        ("0 22-4 * * *", "field 2 (hour): the range '22-4' runs backwards; split it in two: '22-23,0-4'"),
        ("0 0 * * fri-sun", "the range '5-0' runs backwards; split it in two: '5-7,0'"),
        ("0 0 1 * mon", "3 (day-of-month) and 5 (day-of-week) are both restricted"),
        ("0 0 1-31 * mon", "both restricted"),
        ("0 0 */2 * 1-5", "Put * in one of them"),
        ("0 0 30 2 *", "field 3 (day-of-month) never comes in the months of field 4 (month)"),
        ("0 0 31 apr,jun,sep,nov *", "never fires"),
        ("5/15 * * * *", "write '5-59/15'"),
        ("*/0 * * * *", "'0' is not a step of this field; use 1 to 60"),
        ("*/90 * * * *", "'90' is not a step of this field; use 1 to 60"),
        ("*/ * * * *", "'' is not a step"),
        ("*/1/2 * * * *", "'1/2' is not a step"),
        ("*-5 * * * *", "'*' is not a value"),
        ("0 0 L * *", "L, W, # and ? are not known to every platform"),
        ("0 0 15W * *", "L, W, # and ? are not known to every platform"),
        ("0 0 * * 1#2", "L, W, # and ? are not known to every platform"),
        ("0 0 ? * 1", "or * for all; L, W, # and ? are not known to every platform"),
        (None, "a cron expression is a string"),
    ],
)
def test_what_platforms_would_read_differently_or_not_at_all_is_refused(
    expression: object, told: str
) -> None:
    assert told in refusal(expression)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 3, 10, 12, 0),  # noqa: DTZ001 - naive is what is tested
        datetime(2026, 3, 10, 12, 0, tzinfo=timezone(timedelta(hours=1))),
        datetime(2026, 7, 10, 12, 0, tzinfo=ZoneInfo("Europe/London")),
    ],
)
def test_a_moment_that_is_not_in_utc_is_refused(moment: datetime) -> None:
    schedule = Schedule.every(minutes=5)
    with pytest.raises(ValueError, match="UTC"):
        schedule.next_after(moment)
    with pytest.raises(ValueError, match="UTC"):
        schedule.latest_at(moment)


def test_a_leap_day_is_found_across_the_century_without_one() -> None:
    schedule = Schedule.cron("0 0 29 2 *")
    assert schedule.next_after(datetime(2096, 2, 29, tzinfo=UTC)) == datetime(2104, 2, 29, tzinfo=UTC)
    assert schedule.latest_at(datetime(2104, 2, 28, 23, 59, tzinfo=UTC)) == datetime(2096, 2, 29, tzinfo=UTC)


def test_a_schedule_ends_with_the_calendar() -> None:
    with pytest.raises(OverflowError):
        Schedule.every(days=1).next_after(datetime(9999, 12, 31, 12, tzinfo=UTC))
    with pytest.raises(OverflowError):
        Schedule.cron("0 12 * * *").latest_at(datetime(1, 1, 1, 11, tzinfo=UTC))


@settings(max_examples=20)
@given(expressions())
def test_the_text_is_what_was_written(expression: str) -> None:
    assert Schedule.cron(expression).text == expression
