"""What `make demo-aws` shows is what `make demo` shows."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest
from rich.console import Console

from examples.orders.aws_demo import play, stand_in
from packages.aws.tests.ministack.environment import MinistackUnavailableError
from packages.aws.tests.ministack.server import Ministack

A, B = "customer-a", "customer-b"


@pytest.fixture
def aws() -> Iterator[Ministack]:
    try:
        with stand_in() as running:
            yield running
    except MinistackUnavailableError as absent:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(absent))


@pytest.mark.slow
def test_on_aws_every_order_comes_to_the_same(aws: Ministack, postgres_url: str) -> None:
    story = play(aws, postgres_url, Console(file=io.StringIO()))
    first, again, changed = story.first.counts, story.again.counts, story.changed.counts
    orders = {A: 3_578, B: 3_341}
    assert first.orders_fetched == first.order_versions == first.canonical_versions == orders
    assert story.entities == {"customer_order": orders, "canonical_order": orders}
    assert sum(story.suspected.values()) == 21
    assert (again.orders_fetched, again.order_versions.total(), again.forwarded.total()) == (orders, 0, 0)
    assert +changed.order_versions == +changed.canonical_versions == {A: 1}
    assert story.queues == {"express-orders": 708 + 1, "standard-orders": 6_203, "unknown-orders": 8}
    assert not first.problems + again.problems + changed.problems
    tokens = aws.client("dynamodb").scan(TableName="demo-tokens")["Items"]
    assert {one["tenant_id"]["S"] for one in tokens} == {A, B}
    assert all(one["generation"]["N"] == "1" for one in tokens), "one token a tenant, for all functions"
