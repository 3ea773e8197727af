"""What `make demo-aws` shows is what `make demo` shows."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest
from rich.console import Console

from examples.orders.aws_demo import TOKENS, play, stand_in
from examples.orders.tests.same_table import EXPECTED, told
from packages.aws.tests.ministack.environment import MinistackUnavailableError
from packages.aws.tests.ministack.server import Ministack


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
@pytest.mark.timeout(600)
def test_on_aws_every_order_comes_to_the_same(aws: Ministack, postgres_url: str) -> None:
    assert told(play(aws, postgres_url, Console(file=io.StringIO()))) == EXPECTED
    tokens = aws.client("dynamodb").scan(TableName=TOKENS)["Items"]
    assert {one["tenant_id"]["S"] for one in tokens} == {"customer-a", "customer-b"}
    assert all(one["generation"]["N"] == "1" for one in tokens), "one token a tenant, for all functions"
