"""What `make demo` shows is true, on both databases."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from examples.orders.demo import play
from examples.orders.story import tell
from examples.orders.tests.same_table import EXPECTED, told

A, B = "customer-a", "customer-b"


@pytest.mark.slow
def test_every_order_is_fetched_once_versioned_once_and_routed_by_its_type(
    database_url: str, tmp_path: Path
) -> None:
    story = play(database_url, tmp_path, Console(file=io.StringIO()))
    assert told(story) == EXPECTED
    assert story.first.counts.forwarded == story.again.counts.orders_fetched == {A: 3_578, B: 3_341}

    shown = io.StringIO()
    tell(story, Console(file=shown, width=80))
    assert "6,919" in shown.getvalue()
    story.again.counts.problems["to-canonical: PermanentError"] += 1
    with pytest.raises(SystemExit, match="went wrong"):
        tell(story, Console(file=shown))
    assert told(story) != EXPECTED
    assert told(replace(story, queues={})) != EXPECTED
