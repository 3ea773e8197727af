from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from api_exchange_core.cli.show import Column, facts, listing, moment, progress, span


@dataclass(frozen=True)
class Parcel:
    id: str
    weight: int
    age: timedelta


PARCELS = [Parcel("p-1", 12, timedelta(seconds=90)), Parcel("[red]p-2", 1200, timedelta(days=3))]
COLUMNS = [
    Column[Parcel]("id", lambda parcel: parcel.id, whole=True),
    Column[Parcel]("weight", lambda parcel: f"{parcel.weight:,}", right=True),
]

Captured = pytest.CaptureFixture[str]


def test_people_get_a_table_whose_numbers_stand_to_the_right(capsys: Captured) -> None:
    listing(PARCELS, COLUMNS, json=False, none="no parcels")
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["id", "weight"]
    assert rows == ["p-1           12", "[red]p-2   1,200"]


def test_programs_get_every_field(capsys: Captured) -> None:
    listing(PARCELS, COLUMNS, json=True, none="no parcels")
    assert json.loads(capsys.readouterr().out)[0] == {"id": "p-1", "weight": 12, "age": 90.0}


def test_an_empty_answer_is_said_to_people_and_is_an_empty_array_to_programs(capsys: Captured) -> None:
    listing([], COLUMNS, json=False, none="no parcels")
    assert capsys.readouterr().out == "no parcels\n"
    listing([], COLUMNS, json=True, none="no parcels")
    assert json.loads(capsys.readouterr().out) == []


def test_a_long_row_is_one_line_in_a_pipe(capsys: Captured) -> None:
    listing([Parcel("p" * 300, 1, timedelta(0))], COLUMNS, json=False, none="no parcels")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_facts_are_a_line_each_or_an_object(capsys: Captured) -> None:
    facts(PARCELS[0], [("id", "p-1"), ("weight", "12 g")], json=False)
    assert capsys.readouterr().out.splitlines() == ["id      p-1 ", "weight  12 g"]
    facts(PARCELS[0], [], json=True)
    assert json.loads(capsys.readouterr().out)["weight"] == 12


def test_progress_keeps_out_of_the_answer_and_of_files(capsys: Captured) -> None:
    with progress("weighing", 2) as advance:
        advance(1)
        advance(1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (None, "-"),
        (timedelta(milliseconds=1234), "1,234 ms"),
        (timedelta(seconds=90), "90 s"),
        (timedelta(minutes=90), "90 min"),
        (timedelta(hours=30), "30 h"),
        (timedelta(days=1000), "1,000 d"),
    ],
)
def test_lengths_of_time_are_said_in_the_unit_that_fits(length: timedelta | None, text: str) -> None:
    assert span(length) == text


def test_a_time_is_said_to_the_second() -> None:
    assert moment(datetime(2026, 3, 1, 12, 0, 5, 999, tzinfo=UTC)) == "2026-03-01 12:00:05"
    assert moment(None) == "-"
