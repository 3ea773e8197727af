from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from examples.orders.tests.manual_clock import ManualClock
from examples.orders.vendor import VendorApi


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    """The clock of the shop of this module; it goes on from test to test."""
    return ManualClock()


@pytest.fixture(scope="module")
def vendor(clock: ManualClock) -> Iterator[VendorApi]:
    """One running shop a module; a test that changes an order picks one that no other test reads."""
    with VendorApi(clock=clock) as running:
        yield running


@pytest.fixture(scope="module")
def http(vendor: VendorApi) -> Iterator[httpx.Client]:
    """Talks to the shop as anybody could: not signed in."""
    with httpx.Client(base_url=vendor.url, trust_env=False) as client:
        yield client
