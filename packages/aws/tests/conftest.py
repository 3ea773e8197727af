"""The stand-ins for AWS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from packages.aws.tests.ministack.environment import MinistackUnavailableError, python
from packages.aws.tests.ministack.server import Ministack
from packages.aws.tests.moto.differences import DIFFERENCES
from packages.aws.tests.moto.server import Moto
from packages.aws.tests.stand_in import StandIn


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What moto is known to do otherwise must fail there, until it does it no more."""
    here = Path(__file__).parent
    for item in items:
        if not isinstance(item, pytest.Function) or not item.path.is_relative_to(here):
            continue
        reason = DIFFERENCES.get(item.originalname)
        if reason is not None and _stand_in(item) == Moto.NAME:
            item.add_marker(pytest.mark.xfail(reason=f"moto: {reason}", strict=True))


def _stand_in(item: pytest.Function) -> object:
    return item.callspec.params.get("aws") if hasattr(item, "callspec") else None


@pytest.fixture(scope="session")
def ministack_server() -> Iterator[Ministack]:
    """A ministack of this worker's own. Where it cannot be had, tests skip on a laptop and fail in CI."""
    server = Ministack.start(_interpreter(Ministack))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Moto]:
    """The same of moto."""
    server = Moto.start(_interpreter(Moto))
    yield server
    server.stop()


def _interpreter(kind: type[StandIn]) -> Path:
    try:
        return python(kind.NAME, kind.LOCK)
    except MinistackUnavailableError as absent:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(absent))


@pytest.fixture
def ministack(ministack_server: Ministack) -> Ministack:
    """An empty AWS."""
    ministack_server.reset()
    return ministack_server


@pytest.fixture(params=[Ministack.NAME, Moto.NAME])
def aws(request: pytest.FixtureRequest) -> StandIn:
    """An empty AWS, of each that there is: the test runs on both."""
    server: StandIn = request.getfixturevalue(f"{request.param}_server")
    server.reset()
    return server
