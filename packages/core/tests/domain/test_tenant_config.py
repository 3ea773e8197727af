from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretBytes, SecretStr

from api_exchange_core import DeclarationError, DeferError, Exchange
from api_exchange_core.domain.errors import InvalidPayloadError, TenantError, UnrepresentableError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant_config import (
    MAX_CONFIG_BYTES,
    WAIT_FOR_CONFIG,
    checked_config,
    config_of,
)

ACME = TenantId("acme")


class Region(Enum):
    EU = "eu"
    US = "us"


class Limits(BaseModel):
    rows: int = Field(default=100, ge=1)


class ShopConfig(BaseModel):
    shop: str = "main"
    region: Region = Region.EU
    limits: Limits = Limits()


class Credentials(BaseModel):
    key: SecretStr


class Hidden(BaseModel):
    by_api: dict[str, list[Credentials | None]] = {}


class Keyed(BaseModel):
    token: SecretBytes = SecretBytes(b"")


class NotJson(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    made: object = Field(default_factory=object)
    thing: type[int] | Any = None
    lock: Exchange | None = None


@pytest.mark.parametrize(("model", "field"), [(Credentials, "key"), (Hidden, "key"), (Keyed, "token")])
def test_a_model_with_a_secret_is_refused_at_the_declaration(model: type[BaseModel], field: str) -> None:
    with pytest.raises(DeclarationError, match=f"{field}.*secret"):
        Exchange("orders", tenant_config=model)


@pytest.mark.parametrize("model", [NotJson, dict, ShopConfig(), "ShopConfig"])
def test_what_cannot_be_stored_as_json_is_no_configuration(model: Any) -> None:
    with pytest.raises(DeclarationError, match="tenant_config"):
        Exchange("orders", tenant_config=model)


def test_what_is_not_set_has_the_models_default() -> None:
    assert config_of(ACME, {}, ShopConfig) == ShopConfig()
    assert config_of(ACME, {"limits": {"rows": 5}}, ShopConfig) == ShopConfig(limits=Limits(rows=5))


def test_values_that_do_not_fit_are_waited_for_and_named_without_their_content() -> None:
    with pytest.raises(DeferError, match=r"tenant 'acme'.*limits\.rows.*tenants config acme") as caught:
        config_of(ACME, {"limits": {"rows": "hunter2"}}, ShopConfig)
    assert caught.value.delay == WAIT_FOR_CONFIG
    assert "hunter2" not in str(caught.value)


def test_what_is_set_is_stored_as_json_and_nothing_but_what_was_set() -> None:
    assert checked_config(ShopConfig, {"region": Region.US}) == {"region": "us"}


def test_a_value_that_does_not_fit_is_not_stored() -> None:
    with pytest.raises(InvalidPayloadError, match=r"limits\.rows") as caught:
        checked_config(ShopConfig, {"limits": {"rows": "hunter2"}})
    assert "hunter2" not in str(caught.value)


def test_a_name_that_the_model_does_not_have_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(InvalidPayloadError, match="no 'shopp'; it has limits, region, shop"):
        checked_config(ShopConfig, {"shopp": "main"})


def test_names_are_those_by_which_the_model_takes_values() -> None:
    class Renamed(BaseModel):
        shop: str = Field(default="main", alias="shopName")
        rows: int = Field(default=1, validation_alias=AliasChoices("rows", "limit"))

    assert checked_config(Renamed, {"shopName": "a", "limit": 2}) == {"shopName": "a", "limit": 2}
    with pytest.raises(InvalidPayloadError, match="no 'shop'"):
        checked_config(Renamed, {"shop": "a"})


def test_a_model_that_allows_more_takes_more() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    assert checked_config(Open, {"anything": [1]}) == {"anything": [1]}


def test_a_value_without_a_json_form_is_refused() -> None:
    with pytest.raises(UnrepresentableError):
        checked_config(ShopConfig, {"shop": {1, 2}})


def test_a_configuration_is_no_place_for_data() -> None:
    fits = {"shop": "x" * (MAX_CONFIG_BYTES - 20)}
    assert checked_config(ShopConfig, fits) == fits
    with pytest.raises(InvalidPayloadError, match="65,536 is the limit") as refused:
        checked_config(ShopConfig, {"shop": "x" * MAX_CONFIG_BYTES})
    assert len(str(refused.value)) < 200


def test_tenants_that_differ_only_in_case_are_refused_at_the_declaration() -> None:
    with pytest.raises(TenantError, match="'acme' and 'ACME' differ only in case"):
        Exchange("orders", tenants=["acme", "ACME"])
    assert Exchange("orders", tenants=["acme", "acme"]).tenants == ("acme",)
