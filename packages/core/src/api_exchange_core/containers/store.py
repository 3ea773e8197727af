"""What the commands of operators find, on whichever platform an exchange is deployed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from dependency_injector import containers, providers

from api_exchange_core.containers.operations import Operations
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.erasure import Eraser
from api_exchange_core.ports.retention import RetentionStore
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_core.ports.token_store import TokenStore

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Store(containers.DeclarativeContainer):
    """The stores of a deployment, and what operators do with them. A platform's container fills every slot."""

    clock: providers.Provider[Clock]
    sleeper: providers.Provider[Sleeper]
    engine: providers.Provider[Engine]
    tenants: providers.Provider[TenantDirectory]
    token_store: providers.Provider[TokenStore]
    eraser: providers.Provider[Eraser]
    retention: providers.Provider[RetentionStore]
    operations: providers.Container[Operations]


OpenStore: TypeAlias = Callable[[str | None], Store]
"""Makes the store of the deployment that the environment tells of. It is handed the URL of the database if one was
given on the command line, and raises a `DeclarationError` if a setting is missing or wrong.

An adapter registers its own as an entry point of the group ``api_exchange.platforms``; its name is what
``API_EXCHANGE_PLATFORM`` is set to."""
