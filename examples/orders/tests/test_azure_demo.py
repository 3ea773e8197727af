"""What `make demo-azure` shows is what `make demo` shows."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from sqlalchemy import create_engine, text

from examples.orders.azure_demo import play
from examples.orders.tests.same_table import EXPECTED, told


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_on_azure_every_order_comes_to_the_same(postgres_url: str) -> None:
    assert told(play(postgres_url, Console(file=io.StringIO()))) == EXPECTED
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        tokens = connection.execute(text("SELECT tenant_id, generation FROM api_tokens")).all()
    engine.dispose()
    assert sorted(map(tuple, tokens)) == [("customer-a", 1), ("customer-b", 1)], "for all functions"
