"""What APIs say of when to ask again, in all the ways in which they say it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.errors import LONGEST_WAIT
from api_exchange_core.domain.rate_limit_headers import told_wait
from api_exchange_core.domain.structured_fields import Member, members

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
NAMES = [
    "retry-after", "date", "ratelimit", "ratelimit-policy", "ratelimit-remaining", "ratelimit-reset",
    "x-ratelimit-remaining", "x-ratelimit-reset", "x-ratelimit-reset-after", "x-rate-limit-reset",
]  # fmt: skip
ANYTHING = st.one_of(
    st.text(max_size=40),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.datetimes(timezones=st.just(UTC)).map(format_datetime),
    st.builds(
        '"{}";r={};t={}'.format, st.text("abc\\", max_size=3), st.integers(-1, 2), st.integers(-9, 10**16)
    ),
)


def wait(refused: bool = True, **headers: str) -> float | None:
    told = told_wait(
        {name.replace("_", "-"): value for name, value in headers.items()}, now=NOW, refused=refused
    )
    return None if told is None else told.total_seconds()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        (" 7 ", 7),
        ("1.5", 1.5),
        (format_datetime(NOW + timedelta(minutes=5), usegmt=True), 300),
        ("Sun Mar  1 12:00:10 2026", 10),  # asctime, RFC 9110, section 5.6.7
        ("Sunday, 01-Mar-26 12:00:20 GMT", 20),  # RFC 850
        (format_datetime(NOW - timedelta(minutes=5), usegmt=True), 0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1e9", None),
        ("NaN", None),
        ("٣", None),
        ("9" * 14, None),  # of milliseconds since 1970: the year 5138
        ("400000000", None),  # twelve years
        (str(EPOCH + 30), 30),  # a time of the calendar, as some send it
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert wait(retry_after=value) == seconds


@given(st.integers(0, int(LONGEST_WAIT.total_seconds())))
def test_every_wait_of_up_to_a_year_is_obeyed_in_full(seconds: int) -> None:
    assert wait(retry_after=str(seconds)) == seconds
    at = NOW + timedelta(seconds=seconds)
    assert wait(retry_after=format_datetime(at, usegmt=True)) == seconds


@given(st.integers(0, 10_000), st.integers(-(10**6), 10**6))
def test_a_date_is_taken_against_the_apis_own_clock(seconds: int, skew: int) -> None:
    theirs = NOW + timedelta(seconds=skew)
    headers = {
        "retry-after": format_datetime(theirs + timedelta(seconds=seconds), usegmt=True),
        "date": format_datetime(theirs, usegmt=True),
    }
    assert told_wait(headers, now=NOW, refused=True) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"ratelimit": '"default";r=0;t=30'}, 30),
        ({"ratelimit": '"burst";r=0;t=3, "daily";r=0;t=600'}, 600),
        ({"ratelimit": '"burst";r=9;t=3, "daily";r=0;t=600;pk=:cGsx:'}, 600),
        ({"ratelimit": '"burst";r=0', "ratelimit_policy": '"burst";q=10;w=60,"daily";q=99;w=86400'}, 60),
        ({"ratelimit": "default;r=0;t=30"}, 30),
        ({"ratelimit": "limit=10, remaining=0, reset=7"}, 7),
        ({"ratelimit": '"default";r=5;t=30'}, None),
        ({"ratelimit": '"default";r=0;t=-30'}, None),
        ({"ratelimit": '"default";r=0;t=30;'}, None),
        ({"ratelimit": "limit=10, remaining=3, reset=7"}, None),
        ({"ratelimit_limit": "10", "ratelimit_remaining": "0", "ratelimit_reset": "9"}, 9),
        ({"ratelimit_remaining": "1", "ratelimit_reset": "9"}, None),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": "9"}, 9),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(EPOCH + 9)}, 9),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": str((EPOCH + 9) * 1000)}, 9),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(EPOCH - 9)}, 0),
        (
            {
                "x_ratelimit_remaining": "0",
                "x_ratelimit_reset": str(EPOCH),
                "x_ratelimit_reset_after": "1.25",
            },
            1.25,
        ),
        ({"x_rate_limit_remaining": "0", "x_rate_limit_reset": str(EPOCH + 4)}, 4),
        ({"retry_after": "60"}, None),  # with an answer it asks for nothing
    ],
)
def test_an_answer_that_says_when_nothing_is_left(headers: dict[str, str], seconds: float | None) -> None:
    assert wait(refused=False, **headers) == seconds


def test_a_refusal_tells_by_its_reset_alone_and_retry_after_goes_before_all() -> None:
    assert wait(x_ratelimit_reset="9") == 9
    assert wait(x_ratelimit_remaining="5", x_ratelimit_reset="9") is None
    assert wait(x_ratelimit_remaining="0", x_ratelimit_reset="9", retry_after="2") == 2


@given(st.dictionaries(st.sampled_from(NAMES), ANYTHING), st.booleans())
def test_whatever_headers_say_it_is_a_wait_or_nothing(headers: dict[str, str], refused: bool) -> None:
    told = told_wait(headers, now=NOW, refused=refused)
    assert told is None or timedelta(0) <= told <= LONGEST_WAIT


BARE = st.one_of(
    st.from_regex(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]{0,8}", fullmatch=True).map(
        lambda text: (text, text)
    ),
    st.integers(-(10**15) + 1, 10**15 - 1).map(lambda number: (str(number), number)),
    st.decimals(-(10**9), 10**9, places=2).map(lambda number: (str(number), number)),
    st.booleans().map(lambda one: (f"?{one:d}", one)),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9).map(
        lambda text: ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"', text)
    ),
)
KEYS = st.from_regex(r"[a-z*][a-z0-9_.*-]{0,5}", fullmatch=True)


@given(st.lists(st.tuples(BARE, st.dictionaries(KEYS, BARE, max_size=3)), max_size=4))
def test_a_list_reads_back_as_it_was_written(
    written: list[tuple[tuple[str, object], dict[str, tuple[str, object]]]],
) -> None:
    field = " , ".join(
        name + "".join(f"; {key}={value}" for key, (value, _) in parameters.items())
        for (name, _), parameters in written
    )
    read = [(one.name, dict(one.parameters)) for one in members(field)]
    assert read == [
        (name, {key: value for key, (_, value) in parameters.items()}) for (_, name), parameters in written
    ]


def test_a_dictionary_has_values() -> None:
    assert members("a=1, b;x, c=1.5;y=?0") == [
        Member("a", 1, {}),
        Member("b", True, {"x": True}),
        Member("c", Decimal("1.5"), {"y": False}),
    ]


@pytest.mark.parametrize(
    "field", ["a,", ",", "a b", '"a', "(a b)", "a;", "a;=1", "a;X=1", "é", "a=", '"\\a"']
)
def test_what_is_neither_list_nor_dictionary_is_refused_as_a_whole(field: str) -> None:
    with pytest.raises(ValueError, match="RFC 9651"):
        members(field)


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(field: str) -> None:
    with suppress(ValueError):
        assert all(isinstance(one, Member) for one in members(field))
