"""What `make demo` shows is true, on both databases."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from examples.orders.demo import play
from examples.orders.story import Story, table

A, B = "customer-a", "customer-b"


@pytest.fixture
def story(database_url: str, tmp_path: Path) -> Story:
    return play(database_url, tmp_path, Console(file=io.StringIO()))


@pytest.mark.slow
def test_every_order_is_fetched_once_versioned_once_and_routed_by_its_type(story: Story) -> None:
    first, again, changed = story.first.counts, story.again.counts, story.changed.counts
    orders = {A: 3_578, B: 3_341}
    assert first.orders_fetched == first.order_versions == first.canonical_versions == orders
    assert first.forwarded == orders
    assert story.entities == {"customer_order": orders, "canonical_order": orders}
    assert sum(story.suspected.values()) == 21

    assert again.orders_fetched == orders
    assert again.order_versions.total() == again.canonical_versions.total() == again.forwarded.total() == 0

    assert +changed.order_versions == +changed.canonical_versions == +changed.forwarded == {A: 1}

    # The changed order goes to express as well, and stays where it was as it was.
    assert story.queues == {"express-orders": 708 + 1, "standard-orders": 6_203, "unknown-orders": 8}
    assert not first.problems
    assert not again.problems
    assert not changed.problems
    assert_shown(story)


def assert_shown(story: Story) -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(table(story))
    shown = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    for number in ("6,919", "3,578", "3,341", "6,203", "709", "21"):
        assert number in shown
