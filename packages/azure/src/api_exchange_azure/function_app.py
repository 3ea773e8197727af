"""The function app of an exchange."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from api_exchange_core.domain.exchange import Exchange

if TYPE_CHECKING:
    from azure.functions import FunctionApp

    from api_exchange_azure.containers import AzureContainer

_APP_FOLDER: Final = "AzureWebJobsScriptRoot"
"""The app setting in which the host says where host.json lies."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of a Service Bus topic, whose messages start a function beside those of its queue.

    Args:
        topic: its name in the namespace, without the deployment's prefix.
        name: of the subscription.
    """

    topic: str
    name: str


def create_function_app(
    exchange: Exchange,
    *,
    container: AzureContainer | None = None,
    subscriptions: Mapping[str, Sequence[Subscription]] | None = None,
) -> FunctionApp:
    """The function app that serves *exchange*, for the Python v2 programming model.

    It is made once, in ``function_app.py``::

        app = create_function_app(exchange)

    Args:
        exchange: the application.
        container: of the exchange; made from the environment, with logs in JSON, if not given.
        subscriptions: by the name of a queue, topics that somebody else sends messages of the exchange to. What of
            those is to come again goes through the queue.

    Raises:
        DeclarationError: a setting is missing or wrong, or something is declared that Azure Functions cannot do.
    """
    # Whoever imports the package for its names alone does not pay for SQLAlchemy and the SDKs.
    from api_exchange_azure.containers import azure_container
    from api_exchange_azure.logs import configure_logs
    from api_exchange_azure.registration import Registration
    from api_exchange_azure.triggers.ncrontab import check_time_zone
    from api_exchange_azure.triggers.time_left import HostLimits

    check_time_zone(os.environ)
    limits = HostLimits.of(os.environ, Path(os.environ.get(_APP_FOLDER, ".")))
    if container is None:
        container = azure_container(exchange)
        configure_logs(container.settings().log_level)
    return Registration(exchange, container, limits).app({} if subscriptions is None else subscriptions)
