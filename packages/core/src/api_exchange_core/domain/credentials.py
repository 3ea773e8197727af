"""Credentials of a tenant at a system: accounts and keys of other people's APIs, and secrets of their webhooks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NewType, TypeVar

from pydantic import AliasChoices, AliasPath, BaseModel, ValidationError

from api_exchange_core.domain.errors import DeclarationError, InvalidPayloadError

SystemName = NewType("SystemName", str)
"""What a tenant has credentials at, such as ``shop``; a name of the application's own."""

MAX_SYSTEM: Final = 64
"""Longest name of a system, in characters; columns are as wide."""

MAX_CREDENTIALS_BYTES: Final = 64 * 1024
"""Largest credentials: room for certificates and private keys, and none for data."""

Model = TypeVar("Model", bound=BaseModel)

_SYSTEM = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_MOST_REASONS = 10


def system_name(value: str) -> SystemName:
    """Check that *value* names a system: 1 to 64 lower-case letters, digits, ``.``, ``_`` and ``-``.

    Raises:
        DeclarationError: it does not.
    """
    if not isinstance(value, str) or not _SYSTEM.fullmatch(value):
        raise DeclarationError(
            f"{value!r} is no name of a system: use 1 to {MAX_SYSTEM} lower-case letters, digits, '.', '_' or '-', "
            "with a letter or digit at both ends"
        )
    return SystemName(value)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a tenant has at a system, unsealed.

    Args:
        version: counts every change, from 1.
        current: to be used.
        previous: what was there before; to be accepted from others, and not to be used.
        previous_until: until when it is accepted, aware UTC; None: until an operator retires it.
    """

    version: int
    current: bytes = field(repr=False)
    previous: bytes | None = field(default=None, repr=False)
    previous_until: datetime | None = None

    def at(self, now: datetime) -> Credentials:
        """These, without a previous one whose time is over."""
        if self.previous_until is None or now < self.previous_until:
            return self
        return replace(self, previous=None, previous_until=None)

    @property
    def accepted(self) -> tuple[bytes, ...]:
        """The current ones, and the previous ones if there are any."""
        return (self.current,) if self.previous is None else (self.current, self.previous)


def credentials_as(model: type[Model], secret: bytes, *, where: str) -> Model:
    """The JSON object *secret* as an instance of *model*.

    Raises:
        InvalidPayloadError: it does not fit. The message names fields of the model and pydantic's words for what is
            wrong with them: neither values, nor what a validator of the model's own says, which may quote them.
    """
    try:
        return model.model_validate_json(secret)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        names = _names(model)
        # Not "password: missing", of which logs would hide the end as a password.
        reasons = [
            f"{detail['type']} in {_field(detail['loc'], names)}" for detail in details[:_MOST_REASONS]
        ]
    # Out of the block: not even as its context does the error of pydantic, which quotes values, go along.
    raise InvalidPayloadError(f"{where}: no valid {model.__name__}: {', '.join(reasons)}")


def _names(model: type[BaseModel]) -> Mapping[str, str]:
    names = {name: name for name in model.model_fields}
    for name, field_ in model.model_fields.items():
        alias = field_.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        firsts = [str(one.path[0]) if isinstance(one, AliasPath) else one for one in choices]
        names.update({first: name for first in firsts if first is not None})
    return names


def _field(path: tuple[int | str, ...], names: Mapping[str, str]) -> str:
    if not path:
        return "all of it"
    # What is no field of the model came with the secret: a key of an object may be one itself.
    name = names.get(str(path[0]))
    return "what is no field of it" if name is None else repr(name)
