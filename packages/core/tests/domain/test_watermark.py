"""Watermarks: what is taken of records that come late, again, at the same moment, or from the future."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from api_exchange_core import (
    DeclarationError,
    Exchange,
    Message,
    Page,
    PageRequest,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    Schedule,
    Watermark,
)
from api_exchange_core.domain.checkpoint import Run, Sighting
from api_exchange_core.domain.source_name import (
    ALWAYS,
    Window,
    is_slice,
    slice_key,
    slices,
    source_of,
    window_of,
)
from api_exchange_testing import Harness, PagedApi
from api_exchange_testing.paged_api import Record

START = datetime(2026, 1, 1, tzinfo=UTC)
LAG = timedelta(minutes=5)


@dataclass
class SendsChanges(ProcessorInterface):
    """Sends each record that it takes, so that one that is taken twice is seen twice."""

    api: PagedApi
    watermark: Watermark[Record]

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        for page in context.source("orders").pages(self.api.fetch, watermark=self.watermark):
            for order in page:
                result.add_output_message(order)
        if result.output_messages:
            result.add_output_handler(QueueOutputHandler("changes"))
        return result


class Shop:
    """A harness around a `PagedApi`, whose clock is the vendor's as well unless a test says otherwise."""

    def __init__(
        self, watermark: Watermark[Record] | None = None, *, page_size: int = 3, api: PagedApi | None = None
    ) -> None:
        self.api = PagedApi(page_size=page_size) if api is None else api
        rule = Watermark[Record](at="updated_at", id="id", lag=LAG) if watermark is None else watermark
        exchange = Exchange("shop", tenants=["customer-a"])
        exchange.timer("fetch", Schedule.every(minutes=5), SendsChanges(self.api, rule))
        self.harness = Harness(exchange)

    def extract(self) -> list[object]:
        """What a run takes: the ids and revisions."""
        before = len(self._sent())
        self.harness.send("fetch", {})
        self.harness.run()
        assert self.harness.dead_letters() == []
        return self._sent()[before:]

    def _sent(self) -> list[object]:
        try:
            messages = self.harness.queue("changes")
        except DeclarationError:
            return []
        return [(one.payload["id"], one.payload.get("rev", 0)) for one in messages]  # type: ignore[index,call-overload,union-attr] # dicts

    @property
    def now(self) -> datetime:
        return self.harness.clock.now()

    def later(self, **time: float) -> None:
        self.harness.clock.advance(timedelta(**time))


def test_only_what_has_changed_is_taken_and_asked_for() -> None:
    shop = Shop()
    for number in range(4):
        shop.api.put(f"o{number}", shop.now - timedelta(hours=4 - number))
    assert len(shop.extract()) == 4
    assert shop.extract() == []
    shop.later(minutes=5)
    shop.api.put("o1", shop.now, rev=1)
    assert shop.extract() == [("o1", 1)]
    assert [request.since for request in shop.api.asked[:2]] == [None, None]
    assert shop.api.asked[2].since == START - timedelta(hours=1) - LAG


def test_a_change_that_turns_up_late_is_taken_if_it_is_within_the_lag() -> None:
    shop = Shop()
    shop.api.put("o1", shop.now)
    shop.extract()
    shop.api.put("within", shop.now - LAG)
    shop.api.put("beyond", shop.now - LAG - timedelta(microseconds=1))
    assert shop.extract() == [("within", 0)]


def test_records_of_the_same_moment_are_all_taken_and_once() -> None:
    shop = Shop()
    shop.api.put("a", shop.now)
    assert shop.extract() == [("a", 0)]
    shop.api.put("b", shop.now)
    shop.api.put("a", shop.now, rev=1)
    assert shop.extract() == [("a", 1), ("b", 0)]
    shop.api.put("a", shop.now)
    assert shop.extract() == [("a", 0)]
    assert shop.extract() == []


def test_a_record_from_the_future_hides_none_of_those_from_now() -> None:
    shop = Shop()
    shop.api.put("typo", datetime(2099, 1, 1, tzinfo=UTC))
    assert shop.extract() == [("typo", 0)]
    for number in range(5):
        shop.later(minutes=5)
        shop.api.put(f"o{number}", shop.now)
        assert shop.extract() == [(f"o{number}", 0)]


@pytest.mark.parametrize(
    "skew", [timedelta(hours=-3), timedelta(minutes=-1), timedelta(minutes=1), timedelta(hours=3)]
)
def test_a_vendor_whose_clock_is_wrong_is_read_all_the_same(skew: timedelta) -> None:
    shop = Shop()
    for number in range(6):
        shop.later(minutes=20)
        shop.api.put(f"o{number}", shop.now + skew)
        assert shop.extract() == [(f"o{number}", 0)]


@dataclass
class Feed(PagedApi):
    """Pages in another order than that of the changes: by id, or the newest change first."""

    newest_first: bool = False
    before: Callable[[PageRequest], None] = lambda _: None

    @override
    def fetch(self, request: PageRequest) -> Page[Record]:
        self.before(request)
        inside = [
            record
            for record in self.records.values()
            if request.window.holds(datetime.fromisoformat(str(record["updated_at"])))
        ]
        wanted = sorted(
            inside,
            key=lambda one: str(one["updated_at" if self.newest_first else "id"]),
            reverse=self.newest_first,
        )
        start = request.cursor if isinstance(request.cursor, int) else 0
        end = start + self.page_size
        return Page(wanted[start:end], next_cursor=end if end < len(wanted) else None)


def test_what_changes_behind_a_run_that_is_under_way_is_taken_by_the_next_one() -> None:
    """The pages go by id: `a` was read when it changes, and `c`, which is still to come, changes after it."""
    feed = Feed(page_size=1)
    shop = Shop(api=feed)
    for id_ in "abc":
        feed.put(id_, shop.now)

    def change(request: PageRequest) -> None:
        if request.number == 2:
            shop.later(minutes=10)
            feed.put("a", shop.now, rev=1)
            shop.later(minutes=10)
            feed.put("c", shop.now, rev=1)

    feed.before = change
    assert shop.extract() == [("a", 0), ("b", 0), ("c", 1)]
    feed.before = lambda _: None
    assert shop.extract() == [("a", 1)]
    assert shop.extract() == []


def test_what_the_lag_has_sent_again_is_known_on_every_page_of_a_feed_that_begins_with_the_newest() -> None:
    feed = Feed(page_size=1, newest_first=True)
    shop = Shop(api=feed)
    feed.put("a", shop.now)
    feed.put("b", shop.now - timedelta(minutes=1))
    assert shop.extract() == [("a", 0), ("b", 0)]
    shop.later(hours=1)
    feed.put("c", shop.now)
    assert shop.extract() == [("c", 0)]


@pytest.mark.parametrize(
    "never", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59.999999-05:00"]
)
def test_a_record_that_says_never_by_a_time_at_the_end_of_the_calendar_stops_nothing(never: str) -> None:
    feed = PagedApi(page_size=1)
    rule = Watermark[Record](at=lambda one: str(one.get("changed", never)), id="id", lag=LAG)
    shop = Shop(rule, api=feed)
    feed.put("a", shop.now)
    assert shop.extract() == [("a", 0)]
    assert shop.extract() == []
    feed.put("b", shop.now, changed=shop.now.isoformat())
    assert shop.extract() == [("b", 0)]


def test_what_is_forgotten_is_read_again_and_never_missed() -> None:
    shop = Shop(Watermark(at="updated_at", id="id", lag=LAG, remember=2))
    for number in range(5):
        shop.api.put(f"o{number}", shop.now - timedelta(seconds=number))
    assert len(shop.extract()) == 5
    assert sorted(map(str, shop.extract())) == ["('o2', 0)", "('o3', 0)", "('o4', 0)"]


def test_a_first_run_begins_where_it_is_told_to() -> None:
    shop = Shop(Watermark(at="updated_at", id="id", start=START))
    shop.api.put("before", START - timedelta(seconds=1))
    shop.api.put("at", START)
    assert shop.extract() == [("at", 0)]


@st.composite
def histories(draw: st.DrawFn) -> list[list[tuple[int, float]]]:
    """For each run, the records that became visible before it, and how many seconds late each did."""
    late = st.floats(0, LAG.total_seconds() - 1)
    return draw(st.lists(st.lists(st.tuples(st.integers(0, 6), late), max_size=8), min_size=1, max_size=6))


@given(history=histories(), page_size=st.integers(1, 4), minutes=st.integers(0, 12))
def test_whatever_comes_within_the_lag_is_taken_once(
    history: Sequence[Sequence[tuple[int, float]]], page_size: int, minutes: int
) -> None:
    shop = Shop(page_size=page_size)
    rev = 0
    for arrivals in history:
        shop.later(minutes=minutes, seconds=1)
        visible: dict[str, int] = {}
        for number, late in arrivals:
            rev += 1
            shop.api.put(f"o{number}", shop.now - timedelta(seconds=late), rev=rev)
            visible[f"o{number}"] = rev
        assert sorted(map(str, shop.extract())) == sorted(map(str, visible.items()))


@given(
    ats=st.lists(st.integers(-600, 0), max_size=30),
    remember=st.integers(0, 10),
)
def test_what_is_remembered_is_bounded_and_is_the_newest_within_the_lag(
    ats: list[int], remember: int
) -> None:
    rule = Watermark[tuple[int, int]](
        at=lambda item: START + timedelta(seconds=item[1]),
        id=lambda item: item[0],
        lag=LAG,
        remember=remember,
    )
    run = Run(id="m", queue="q", started_at=START)
    taken = rule.take(list(enumerate(ats)), run=run, seen={}, digest=digest)
    assert len(taken.items) == len(ats)
    near = sorted((at for at in ats if at >= max(ats) - LAG.total_seconds()), reverse=True)
    remembered = sorted((int((one.at - START).total_seconds()) for one in taken.seen.values()), reverse=True)
    assert remembered == near[:remember]


def digest(item: object) -> str:
    return sha256(repr(item).encode()).hexdigest()


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"id": 1}, "no 'updated_at'"),
        ({"id": 1, "updated_at": "yesterday"}, "a str that is no time"),
        ({"id": 1, "updated_at": "2026-01-01T00:00:00"}, "a str that is no time with an offset"),
        ({"id": 1, "updated_at": 17}, "an int|a int that is no time"),
        ({"updated_at": "2026-01-01T00:00:00Z"}, "no 'id'"),
    ],
)
def test_a_record_that_says_no_time_or_id_is_refused_without_its_content(
    record: dict[str, object], says: str
) -> None:
    rule = Watermark[dict[str, object]](at="updated_at", id="id")
    with pytest.raises(PermanentError, match=says) as refused:
        rule.take([record], run=Run(id="m", queue="q", started_at=START), seen={}, digest=digest)
    assert "yesterday" not in str(refused.value)


def test_objects_are_read_by_attribute() -> None:
    @dataclass
    class Order:
        number: int
        changed: datetime

    rule = Watermark[Order](at="changed", id="number")
    run = Run(id="m", queue="q", started_at=START)
    taken = rule.take([Order(1, START)], run=run, seen={}, digest=digest)
    assert taken.highest == START
    assert list(taken.seen.values()) == [Sighting(START, next(iter(taken.seen.values())).digest)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"lag": timedelta(seconds=-1)},
        {"lag": 5},
        {"remember": -1},
        {"remember": 10_001},
        {"remember": 1.5},
        {"start": datetime(2026, 1, 1)},  # noqa: DTZ001 - that is the point
    ],
)
def test_a_rule_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DeclarationError):
        Watermark(at="updated_at", id="id", **wrong)  # type: ignore[arg-type] # that is the point


@given(
    hours=st.integers(1, 200),
    length=st.integers(1, 60),
    moments=st.lists(st.integers(-10, 13_000), max_size=20),
)
def test_slices_hold_each_moment_of_the_window_once(hours: int, length: int, moments: list[int]) -> None:
    window = Window(START, START + timedelta(hours=hours))
    parts = slices(window, timedelta(hours=length), most=1_000)
    keys = [slice_key("orders", part.since, part.until) for part in parts if part.since and part.until]
    assert [window_of(key) for key in keys] == parts
    assert all(is_slice(key) and source_of(key) == "orders" for key in keys)
    for minutes in moments:
        moment = START + timedelta(minutes=minutes)
        assert sum(part.holds(moment) for part in parts) == window.holds(moment)


@pytest.mark.parametrize("day", [datetime(2026, 3, 29), datetime(2026, 10, 25)])  # noqa: DTZ001 - put into a zone below
def test_slices_are_as_long_as_they_say_on_the_days_on_which_a_zone_changes_its_clocks(day: datetime) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    day = day.replace(tzinfo=berlin)
    hour = timedelta(hours=1)
    found = slices(Window(day, (day + timedelta(days=1)).replace(tzinfo=berlin)), hour, most=100)
    keys = [slice_key("orders", part.since, part.until) for part in found if part.since and part.until]
    ends = [(window.since, window.until) for window in map(window_of, keys)]
    assert all(since and until and until - since == hour for since, until in ends)
    assert [until for _, until in ends[:-1]] == [since for since, _ in ends[1:]]
    assert len(ends) == (23 if day.month == 3 else 25)


def test_too_many_slices_and_windows_that_hold_nothing_are_refused() -> None:
    with pytest.raises(DeclarationError, match="24 slices"):
        slices(Window(START, START + timedelta(days=1)), timedelta(hours=1), most=23)
    with pytest.raises(DeclarationError, match="cannot be cut"):
        slices(ALWAYS, timedelta(hours=1), most=23)
    with pytest.raises(DeclarationError, match="holds no time"):
        Window(START, START)
    with pytest.raises(DeclarationError, match="no slice"):
        window_of("orders@yesterday/today")
