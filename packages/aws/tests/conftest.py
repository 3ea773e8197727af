"""The stand-in for AWS."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from packages.aws.tests.ministack.environment import MinistackUnavailableError, python
from packages.aws.tests.ministack.server import Ministack


@pytest.fixture(scope="session")
def ministack_server() -> Iterator[Ministack]:
    """A ministack of this worker's own. Where it cannot be had, tests skip on a laptop and fail in CI."""
    try:
        interpreter = python()
    except MinistackUnavailableError as absent:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(absent))
    server = Ministack.start(interpreter)
    yield server
    server.stop()


@pytest.fixture
def ministack(ministack_server: Ministack) -> Ministack:
    """An empty AWS."""
    ministack_server.reset()
    return ministack_server
