"""Benchmarks that nobody runs for a while still run; what they measure is for `make bench` to say."""

from __future__ import annotations

import pytest

from benchmarks import handler


@pytest.mark.slow
def test_handling_is_measured_over_ports_that_do_nothing() -> None:
    rows = handler.measure()
    assert len(rows) == 3
    assert all(row.value > 0 for row in rows)
