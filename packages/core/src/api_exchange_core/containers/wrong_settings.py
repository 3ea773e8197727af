"""Telling which settings are wrong."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from api_exchange_core.domain.errors import DeclarationError

PREFIX: Final = "API_EXCHANGE_"
"""What the names of all settings begin with, as environment variables."""


def wrong_settings(error: ValidationError) -> DeclarationError:
    """The error to raise for *error*: it names the variables and what is wrong with them, and tells no value."""
    reasons = "; ".join(
        f"{_variable(one['loc'])}{one['msg']}" for one in error.errors(include_url=False, include_input=False)
    )
    return DeclarationError(f"the settings of the exchange are wrong: {reasons}")


def _variable(place: tuple[int | str, ...]) -> str:
    if not place:
        return ""
    name = str(place[0])
    return f"{name}: " if name.startswith(PREFIX) else f"{PREFIX}{name.upper()}: "
