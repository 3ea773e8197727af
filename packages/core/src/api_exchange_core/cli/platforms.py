"""Which platform an exchange is deployed on, and so where its queues, tokens and secrets are."""

from __future__ import annotations

import os
from importlib import metadata
from typing import Final

from api_exchange_core.containers.store import OpenStore
from api_exchange_core.domain.errors import DeclarationError

PLATFORM: Final = "API_EXCHANGE_PLATFORM"
"""The environment variable that names it."""
LOCAL: Final = "local"

_GROUP: Final = "api_exchange.platforms"


def platform() -> str:
    """The name of the platform; one machine, if the environment names none."""
    return os.environ.get(PLATFORM) or LOCAL


def store_of_platform() -> OpenStore:
    """What makes the platform's store.

    Raises:
        DeclarationError: no package that is installed here knows the platform.
    """
    known = {one.name: one for one in metadata.entry_points(group=_GROUP)}
    name = platform()
    if name not in known:
        raise DeclarationError(
            f"{PLATFORM} is {name!r}, and what is installed here knows {', '.join(sorted(known))}: install "
            f"api-exchange-{name} beside this command, or set another"
        )
    opener: OpenStore = known[name].load()
    return opener
