"""Settings, from the environment and from options."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from api_exchange_core.containers.local import LocalSettings
from api_exchange_core.containers.wrong_settings import wrong_settings


def settings_with(**options: object) -> LocalSettings:
    """The settings of the environment; options that were given win over them.

    Raises:
        DeclarationError: a value is out of its range; names it, without the value.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    try:
        return LocalSettings(**given)
    except ValidationError as error:
        raise wrong_settings(error) from None
