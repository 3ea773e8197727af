"""Parts of triggers that need no service: schedules, limits, and what is noted beside a message."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_azure.servicebus.received import Received
from api_exchange_azure.servicebus.wire import Notes, broker_id
from api_exchange_azure.storage.wire import Content
from api_exchange_azure.triggers.ncrontab import check_time_zone, each, ncrontab
from api_exchange_azure.triggers.time_left import HostLimits, TimeLeft
from api_exchange_core import Schedule
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.names import QueueName
from api_exchange_testing import VirtualClock

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule.every(minutes=5), "0 */5 * * * *"),
        (Schedule.every(hours=6), "0 0 */6 * * *"),
        (Schedule.every(days=1), "0 0 0 * * *"),
        (Schedule.cron("30 6 * * mon-fri"), "0 30 6 * * 1-5"),
        (Schedule.cron("0 0 1 jan,jul *"), "0 0 0 1 */6 *"),
    ],
)
def test_a_schedule_is_written_with_its_second(schedule: Schedule, expected: str) -> None:
    assert ncrontab(schedule) == expected


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (timedelta(seconds=2), "0 * * * * *"),
        (timedelta(minutes=1), "0 * * * * *"),
        (timedelta(minutes=15), "0 */15 * * * *"),
        (timedelta(hours=1), "0 0 */1 * * *"),
        (timedelta(days=1), "0 0 0 * * *"),
    ],
)
def test_a_chore_fires_at_its_pace_and_each_minute_at_most(every: timedelta, expected: str) -> None:
    assert each(every) == expected


@pytest.mark.parametrize("every", [timedelta(minutes=7), timedelta(hours=5), timedelta(days=2)])
def test_a_pace_that_ncrontab_does_not_know_is_refused(every: timedelta) -> None:
    with pytest.raises(DeclarationError, match="must divide"):
        each(every)


def test_a_host_in_local_time_is_refused() -> None:
    check_time_zone({"WEBSITE_TIME_ZONE": "Etc/UTC"})
    with pytest.raises(DeclarationError, match="WEBSITE_TIME_ZONE is 'Europe/Berlin'"):
        check_time_zone({"WEBSITE_TIME_ZONE": "Europe/Berlin"})


def test_the_limits_are_those_of_host_json(tmp_path: Path) -> None:
    host = {
        "functionTimeout": "00:30:00",
        "extensions": {"serviceBus": {"maxAutoLockRenewalDuration": "00:20:00"}},
    }
    (tmp_path / "host.json").write_text(json.dumps(host))
    assert HostLimits.of({}, tmp_path) == HostLimits(timedelta(minutes=30), timedelta(minutes=20))


def test_an_app_setting_wins_over_host_json(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"functionTimeout": "00:30:00"}')
    limits = HostLimits.of({"AzureFunctionsJobHost__functionTimeout": "01:00:00"}, tmp_path)
    assert limits.function_timeout == timedelta(hours=1)


def test_without_host_json_the_shortest_limit_holds(tmp_path: Path) -> None:
    assert HostLimits.of({}, tmp_path) == HostLimits(timedelta(minutes=5), timedelta(minutes=5))


def test_a_host_without_a_limit_gives_a_day(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"functionTimeout": "-1"}')
    assert HostLimits.of({}, tmp_path).function_timeout == timedelta(days=1)


@pytest.mark.parametrize("text", ["5 minutes", "300", ""])
def test_a_limit_that_is_no_time_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "host.json").write_text(json.dumps({"functionTimeout": text}))
    with pytest.raises(DeclarationError, match="is no time such as"):
        HostLimits.of({}, tmp_path)


def test_nothing_is_begun_in_the_reserve_which_is_a_fifth_at_most() -> None:
    clock = VirtualClock(_NOON)
    time_left = TimeLeft.beginning(clock, timedelta(seconds=30), timedelta(seconds=10))
    assert time_left.deadline.at == _NOON + timedelta(seconds=24)
    clock.advance(timedelta(seconds=23))
    assert not time_left.is_short()
    clock.advance(timedelta(seconds=1))
    assert time_left.is_short()
    clock.advance(timedelta(minutes=1))
    assert time_left.until_reserve == timedelta(0)


@given(body=st.binary(), spent=st.integers(-100, 100), properties=st.dictionaries(st.text(), st.text()))
def test_any_content_of_a_storage_queue_is_read_as_it_was_written(
    body: bytes, spent: int, properties: dict[str, str]
) -> None:
    content = Content(body=body, spent=spent, properties=properties)
    assert Content.of(content.lying) == content
    assert Content.in_text(content.text) == content


def test_a_text_that_is_no_base64_is_a_body() -> None:
    assert Content.in_text("{}").body == b"{}"
    assert Content.of(b"\x1enot ours").body == b"\x1enot ours"


@pytest.mark.parametrize("noted", ["", "[]", "null", '{"spent": "many"}'])
def test_notes_that_are_none_of_ours_tell_nothing(noted: str) -> None:
    assert Notes.of({"api-exchange-notes": noted}) == Notes()


@given(first=st.tuples(st.text(), st.text()), second=st.tuples(st.text(), st.text()))
def test_ids_are_as_long_as_service_bus_takes_them(first: tuple[str, str], second: tuple[str, str]) -> None:
    assert len(broker_id("customer-a", *first)) <= 128
    if len("".join(first)) > 200 and first != second:
        assert broker_id("customer-a", *first) != broker_id("customer-a", *second)


@pytest.mark.parametrize("message_id", ["customer-a/m-1", "customer-a/" + "x" * 117])
def test_however_often_a_message_is_deferred_no_copy_is_taken_for_a_duplicate(message_id: str) -> None:
    received = _received(message_id=message_id, times=1)
    ids = {message_id}
    for number in range(1, 20):
        parcel = received.again(after=timedelta(minutes=1), spent=0, now=_NOON)
        ids.add(parcel.message_id)
        assert len(ids) == number + 1
        assert len(parcel.message_id) <= 128
        received = _received(message_id=parcel.message_id, times=1)


def test_a_copy_that_is_sent_twice_has_one_id() -> None:
    copies = [
        _received(message_id="customer-a/m-1", times=times).again(
            after=timedelta(minutes=1), spent=times, now=_NOON
        )
        for times in (1, 2)
    ]
    assert {copy.message_id for copy in copies} == {"customer-a/m-1/again-1"}
    assert [copy.due_at for copy in copies] == [_NOON + timedelta(minutes=1)] * 2


def _received(
    *, message_id: str, times: int, properties: dict[str, str | int | float | bytes | bool] | None = None
) -> Received:
    return Received(
        queue=QueueName("orders-in"),
        receipt="receipt",
        message_id=message_id,
        body=b"{}",
        properties={} if properties is None else properties,
        session=None,
        times=times,
        enqueued_at=None,
    )
