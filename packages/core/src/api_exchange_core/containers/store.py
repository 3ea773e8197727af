"""What the commands of operators find, on whichever platform an exchange is deployed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TypeAlias

from dependency_injector import providers

from api_exchange_core.containers.operations import Operations
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.erasure import Eraser
from api_exchange_core.ports.retention import RetentionStore
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_core.ports.token_store import TokenStore

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Store(Protocol):
    """The stores of a deployment, and what operators do with them: the providers of a platform's container."""

    @property
    def clock(self) -> providers.Provider[Clock]:
        """Of what tells the time."""

    @property
    def sleeper(self) -> providers.Provider[Sleeper]:
        """Of what waits."""

    @property
    def engine(self) -> providers.Provider[Engine]:
        """Of the database's connections."""

    @property
    def tenants(self) -> providers.Provider[TenantDirectory]:
        """Of who the tenants are."""

    @property
    def token_store(self) -> providers.Provider[TokenStore]:
        """Of where tokens are."""

    @property
    def eraser(self) -> providers.Provider[Eraser]:
        """Of what erases."""

    @property
    def retention(self) -> providers.Provider[RetentionStore]:
        """Of what removes by age."""

    @property
    def operations(self) -> providers.Container[Operations]:
        """The use cases of operators."""


OpenStore: TypeAlias = "Callable[[str | None], AbstractContextManager[Store]]"
"""Opens the store of the deployment that the environment tells of, and closes its connections after the block. It is
handed the URL of the database if one was given on the command line, and raises a `DeclarationError` if a setting is
missing or wrong.

An adapter registers its own as an entry point of the group ``api_exchange.platforms``; its name is what
``API_EXCHANGE_PLATFORM`` is set to."""
