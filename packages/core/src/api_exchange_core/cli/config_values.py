"""Values of a configuration as a command line gives them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic_core import from_json

from api_exchange_core.domain.errors import DeclarationError


def from_words(words: Sequence[str]) -> dict[str, object]:
    """What ``NAME=VALUE`` words say. A value is JSON if it can be read as JSON, and else a text as it stands.

    Raises:
        DeclarationError: a word has no name or no ``=``.
    """
    values: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise DeclarationError("--set takes NAME=VALUE, such as --set rows=100 or --set shop=acme")
        try:
            values[name] = from_json(value, allow_inf_nan=False)
        except ValueError:
            values[name] = value
    return values


def from_file(file: Path) -> dict[str, object]:
    """The JSON object in *file*.

    Raises:
        DeclarationError: there is none.
    """
    try:
        values = from_json(file.read_bytes(), allow_inf_nan=False)
    except (OSError, ValueError) as error:
        raise DeclarationError(f"{str(file)!r} cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise DeclarationError(f"{str(file)!r} holds no JSON object, but a {type(values).__name__}")
    return values
