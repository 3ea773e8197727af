"""Configuration that differs from tenant to tenant, held to a model that the exchange declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final, TypeVar

from pydantic import AliasChoices, AliasPath, BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from pydantic_core import to_json

from api_exchange_core.domain.errors import DeclarationError, DeferError, InvalidPayloadError
from api_exchange_core.domain.json_value import JsonValue, json_value
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.payload_model import validated

Model = TypeVar("Model", bound=BaseModel)

WAIT_FOR_CONFIG: Final = timedelta(minutes=1)
"""How long a message stays away whose tenant is configured wrongly."""


MAX_CONFIG_BYTES: Final = 64 * 1024
"""Largest configuration of a tenant, as JSON: each process keeps those of all tenants that it works for."""


def check_config_model(model: object) -> None:
    """Find out at the declaration whether *model* can be the configuration of tenants.

    Raises:
        DeclarationError: it is no pydantic model, its values have no JSON form, or it holds secrets.
    """
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise DeclarationError(
            f"tenant_config is a pydantic model, such as class ShopConfig(BaseModel), not {model!r}"
        )
    try:
        schema = model.model_json_schema()
    except (PydanticInvalidForJsonSchema, PydanticUserError) as error:
        raise DeclarationError(
            f"tenant_config {model.__name__}: its values have no JSON form, in which they are stored: {error}"
        ) from None
    secret = next(_secrets(schema, ()), None)
    if secret is not None:
        raise DeclarationError(
            f"tenant_config {model.__name__}: {secret!r} is a secret, and configuration is stored and shown as it is: "
            "`api-exchange credentials set` keeps it encrypted, and ApiCredentials reads it"
        )


def checked_config(model: type[BaseModel], values: Mapping[str, object]) -> dict[str, JsonValue]:
    """The values to store for a tenant, as JSON.

    Raises:
        InvalidPayloadError: they do not fit *model*, name what it does not have, or are more than
            `MAX_CONFIG_BYTES`. The message names fields and reasons, and no values.
        UnrepresentableError: a value has no JSON form.
    """
    stored = {name: json_value(value) for name, value in values.items()}
    size = len(to_json(stored))
    if size > MAX_CONFIG_BYTES:
        raise InvalidPayloadError(
            f"tenant configuration: {size:,} bytes of JSON, and {MAX_CONFIG_BYTES:,} is the limit: keep data elsewhere"
        )
    if model.model_config.get("extra") != "allow":
        known = set(_names(model))
        unknown = sorted(set(stored) - known)
        if unknown:
            raise InvalidPayloadError(
                f"tenant configuration: {model.__name__} has no {', '.join(map(repr, unknown))}; it has "
                f"{', '.join(sorted(known)) or 'no fields'}"
            )
    validated(model, stored, where="tenant configuration")
    return stored


def config_of(tenant_id: TenantId, values: Mapping[str, JsonValue], model: type[Model]) -> Model:
    """The configuration of a tenant, with the model's defaults for what is not set.

    Raises:
        DeferError: the values do not fit. It is the operator's to mend, and until then the tenant's messages wait.
    """
    try:
        return validated(model, dict(values), where=f"configuration of tenant {tenant_id!r}")
    except InvalidPayloadError as error:
        raise DeferError(
            f"{error}; its messages wait until `api-exchange tenants config {tenant_id}` has set it right",
            delay=WAIT_FOR_CONFIG,
        ) from None


def _names(model: type[BaseModel]) -> Iterator[str]:
    """All names by which a value may be given."""
    by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        first = [str(one.path[0]) if isinstance(one, AliasPath) else one for one in choices]
        yield from (one for one in first if one is not None)
        if alias is None or by_name:
            yield name


def _secrets(schema: object, path: tuple[str, ...]) -> Iterator[str]:
    """Where pydantic's secret types stand in a JSON schema: they alone are write-only."""
    if isinstance(schema, Mapping):
        if schema.get("writeOnly") is True:
            yield ".".join(step for step in path if step not in ("properties", "$defs", "anyOf", "items"))
        for name, part in schema.items():
            yield from _secrets(part, (*path, str(name)))
    elif isinstance(schema, list):
        for part in schema:
            yield from _secrets(part, path)
