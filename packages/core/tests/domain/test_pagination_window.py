"""How an API is asked for a part of time, and that no moment falls between two parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core import DeclarationError, Window
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.pagination.page import HttpPage, HttpPageRequest, Paginator
from api_exchange_core.domain.pagination.styles import (
    CursorPages,
    LinkedPages,
    NextUrlPages,
    NumberedPages,
    OffsetPages,
)
from api_exchange_core.domain.pagination.window import WindowParams, in_window, rfc3339

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
A_DAY = Window(NEW_YEAR, NEW_YEAR + timedelta(days=1))
ASKED = {"updated_since": "2026-01-01T00:00:00Z", "updated_before": "2026-01-02T00:00:00Z"}
PARAMS = WindowParams(since="updated_since", until="updated_before")
BODY: JsonValue = {"orders": [1], "next": "c2", "url": "/orders?page=2&sig=1"}
LINK = {"link": '</orders?page=2&sig=1>; rel="next"'}

moments = st.timedeltas(timedelta(days=-30_000), timedelta(days=20_000)).map(lambda since: NEW_YEAR + since)


def second(paginator: Paginator) -> HttpPageRequest:
    first = paginator.start()
    following = paginator.next(HttpPage(first, "https://shop.example/orders", LINK, BODY))
    assert following is not None
    return following


@pytest.mark.parametrize(
    ("paginator", "own"),
    [
        (NumberedPages(path="/orders", items="/orders", params={"size": 1}), {"size": 1, "page": 2}),
        (OffsetPages(path="/orders", items="/orders", params={"size": 1}), {"size": 1, "offset": 1}),
        (
            CursorPages(path="/orders", items="/orders", cursor="/next", params={"size": 1}),
            {"size": 1, "cursor": "c2"},
        ),
    ],
)
def test_each_request_that_the_paginator_makes_says_the_window(
    paginator: Paginator, own: dict[str, str | int]
) -> None:
    asking = in_window(paginator, A_DAY, PARAMS)
    assert asking.start().params.items() >= ASKED.items()
    assert second(asking) == HttpPageRequest("/orders", own | ASKED)


def test_an_api_that_takes_no_window_beside_its_cursor_is_told_it_once() -> None:
    orders = CursorPages(path="/orders", items="/orders", cursor="/next")
    once = WindowParams(since="updated_since", until="updated_before", is_carried=False)
    asking = in_window(orders, A_DAY, once)
    assert asking.start().params == ASKED
    assert second(asking).params == {"cursor": "c2"}


@pytest.mark.parametrize(
    "paginator",
    [LinkedPages(path="/orders", items="/orders"), NextUrlPages(path="/orders", items="/orders", url="/url")],
)
def test_an_address_that_a_page_names_is_followed_as_it_is(paginator: Paginator) -> None:
    asking = in_window(paginator, A_DAY, PARAMS)
    assert asking.start().params == ASKED
    assert second(asking) == HttpPageRequest("https://shop.example/orders?page=2&sig=1")


def test_an_open_window_asks_for_nothing_in_particular() -> None:
    assert PARAMS.of(Window()) == {}
    assert WindowParams(since="since").of(Window(since=NEW_YEAR)) == {"since": "2026-01-01T00:00:00Z"}


def test_a_window_that_cannot_be_asked_for_is_refused_and_not_ignored() -> None:
    orders = NumberedPages(path="/orders", items="/orders")
    assert in_window(orders, Window(), None) is orders
    with pytest.raises(DeclarationError, match=r"window=WindowParams\("):
        in_window(orders, Window(since=NEW_YEAR), None)
    with pytest.raises(DeclarationError, match=r"WindowParams\(until=\.\.\.\)"):
        in_window(orders, A_DAY, WindowParams(since="updated_since"))


def test_moments_are_written_as_the_api_wants_them() -> None:
    seconds = WindowParams(since="from", until="to", form=lambda moment: int(moment.timestamp()))
    assert seconds.of(A_DAY) == {"from": 1767225600, "to": 1767312000}
    assert rfc3339(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-01T00:00:00Z"


@given(since=moments, length=st.timedeltas(timedelta(microseconds=1), timedelta(days=400)))
def test_what_is_asked_for_holds_all_of_the_window_and_less_than_a_step_more(
    since: datetime, length: timedelta
) -> None:
    window, step = Window(since, since + length), timedelta(minutes=1)
    asked = WindowParams(since="since", until="until", step=step).of(window)
    first, after = datetime.fromisoformat(str(asked["since"])), datetime.fromisoformat(str(asked["until"]))
    assert since - step < first <= since
    assert since + length <= after < since + length + step
    assert first.second == after.second == 0


@pytest.mark.parametrize("step", [timedelta(0), timedelta(seconds=-1)])
def test_a_step_of_no_time_is_refused(step: timedelta) -> None:
    with pytest.raises(DeclarationError, match="step"):
        WindowParams(since="since", step=step)
