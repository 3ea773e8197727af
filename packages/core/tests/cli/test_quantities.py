from __future__ import annotations

from datetime import timedelta

import pytest
import typer

from api_exchange_core.cli.quantities import length


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("15 min", timedelta(minutes=15)),
        ("1.5h", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("2W", timedelta(weeks=2)),
    ],
)
def test_a_length_is_read_as_people_write_it(text: str, meant: timedelta) -> None:
    assert length(text) == meant


@pytest.mark.parametrize("text", ["", "soon", "5", "-1h", "1h30", "11000d", "999999999w"])
def test_what_is_no_length_or_beyond_ten_years_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        length(text)
