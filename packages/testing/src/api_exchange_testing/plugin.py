"""The pytest plugin: fixtures and a marker, there as soon as the package is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from api_exchange_core import Exchange
    from api_exchange_testing.harness import Harness
    from api_exchange_testing.memory.clock import VirtualClock

_TENANT = "customer-a"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", 'tenant(id): on whose behalf the fixture `tenant` lets a test run; "customer-a" without it'
    )


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """A clock that stands still until it is advanced."""
    from api_exchange_testing.harness import START
    from api_exchange_testing.memory.clock import VirtualClock

    return VirtualClock(START)


@pytest.fixture
def exchange_harness(virtual_clock: VirtualClock) -> Callable[[Exchange], Harness]:
    """Makes the harness of an exchange, on `virtual_clock`."""
    from api_exchange_testing.harness import Harness

    return lambda exchange: Harness(exchange, clock=virtual_clock)


@pytest.fixture
def tenant(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs on behalf of this tenant: ``customer-a``, or the one of ``@pytest.mark.tenant("...")``."""
    from api_exchange_core import tenant_context

    marker = request.node.get_closest_marker("tenant")
    with tenant_context(_TENANT if marker is None else marker.args[0]) as tenant_id:
        yield tenant_id


@pytest.fixture
def cloud_event() -> Callable[[str], dict[str, object]]:
    """Gives the event documents of the clouds' triggers by name, such as ``aws/sqs``; see `events`."""
    from api_exchange_testing.events import event

    return event
