"""The stand-ins for Azure."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from packages.azure.tests.azurite.environment import AzuriteUnavailableError, installed
from packages.azure.tests.azurite.server import Azurite
from packages.azure.tests.namespace import Namespace


@pytest.fixture(scope="module")
def namespace_of_module() -> Iterator[Namespace]:
    """A Service Bus with open links, which the tests of a module share: each link takes half a second."""
    namespace = Namespace.start()
    yield namespace
    namespace.stop()


@pytest.fixture
def namespace(namespace_of_module: Namespace) -> Namespace:
    """An empty Service Bus."""
    namespace_of_module.purge()
    return namespace_of_module


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A storage account of this worker's own. Where it cannot be had, tests skip on a laptop and fail in CI."""
    try:
        programs = installed()
    except AzuriteUnavailableError as absent:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(absent))
    server = Azurite.start(programs)
    yield server
    server.stop()
