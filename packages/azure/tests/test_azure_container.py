"""Settings of a function app, and what is made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from dependency_injector import providers

from api_exchange_azure import Subscription, create_function_app
from api_exchange_azure.containers import azure_container
from api_exchange_azure.servicebus.publisher import ServiceBusMessagePublisher
from api_exchange_azure.settings import AzureSettings, settings_from_environment
from api_exchange_azure.tables.table import create_token_table
from api_exchange_azure.tables.token_store import TableTokenStore
from api_exchange_core import Exchange, Message, ProcessingResult, ProcessorContext, ProcessorInterface
from api_exchange_core.adapters.claim_check.queues import ClaimCheckPublisher
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.token_store import SqlTokenStore
from api_exchange_core.domain.api_token import TokenKey
from api_exchange_core.domain.erasure import Subject
from api_exchange_core.domain.errors import DeclarationError, PermanentError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.token_store import Takeover
from api_exchange_testing import VirtualClock, VirtualSleeper
from packages.azure.tests.azurite.server import Azurite

_BUS = "Endpoint=sb://nowhere/;SharedAccessKeyName=k;SharedAccessKey=aHVudGVyMlpxODE="
_STORAGE = (
    "DefaultEndpointsProtocol=https;AccountName=nobody;AccountKey=aHVudGVyMlpxODE=;EndpointSuffix=core.test"
)
_COMPLETE = {"API_EXCHANGE_DATABASE_URL": "sqlite:///exchange.db", "API_EXCHANGE_SERVICE_BUS": _BUS}


class Nothing(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in _COMPLETE.items():
        monkeypatch.setenv(name, value)


def test_settings_are_read_from_app_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_EXCHANGE_SESSION_QUEUES", "orders, carts")
    monkeypatch.setenv("API_EXCHANGE_STORAGE__blobServiceUri", "https://x.blob.core.windows.net")
    settings = settings_from_environment()
    assert settings.session_queues == {"orders", "carts"}
    assert settings.blob_service_uri == "https://x.blob.core.windows.net"


def test_an_identity_takes_the_place_of_a_connection_string(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("API_EXCHANGE_SERVICE_BUS")
    monkeypatch.setenv("API_EXCHANGE_SERVICE_BUS__fullyQualifiedNamespace", "x.servicebus.windows.net")
    assert settings_from_environment().service_bus_namespace == "x.servicebus.windows.net"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("API_EXCHANGE_SERVICE_BUS", None, "set one of API_EXCHANGE_SERVICE_BUS and"),
        ("API_EXCHANGE_SERVICE_BUS__fullyQualifiedNamespace", "x", "set one of API_EXCHANGE_SERVICE_BUS and"),
        ("API_EXCHANGE_DATABASE_URL", None, "set one of API_EXCHANGE_DATABASE_URL and"),
        ("API_EXCHANGE_DATABASE_URL_SECRET", "url", "set one of API_EXCHANGE_DATABASE_URL and"),
        ("API_EXCHANGE_QUEUES", "storage", "set one of API_EXCHANGE_STORAGE and"),
        (
            "API_EXCHANGE_TOKEN_TABLE",
            "tokens",
            "API_EXCHANGE_TOKEN_TABLE: set one of API_EXCHANGE_STORAGE and",
        ),
        ("API_EXCHANGE_TOKEN_TABLE", "shop-tokens", "API_EXCHANGE_TOKEN_TABLE: "),
        ("API_EXCHANGE_QUEUES", "kafka", "API_EXCHANGE_QUEUES: "),
        ("API_EXCHANGE_RESERVE", "hunter2Zq81", "API_EXCHANGE_RESERVE: "),
        ("API_EXCHANGE_SESSION_QUEUES", "Orders", "no portable queue name"),
    ],
)
def test_a_wrong_setting_is_named_and_no_value_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, says: str
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(DeclarationError) as refused:
        settings_from_environment()
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "aHVudGVy" not in str(refused.value)


def test_a_connection_string_that_is_none_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_EXCHANGE_SERVICE_BUS", "hunter2Zq81")
    container = azure_container(Exchange("shop"))
    with pytest.raises(DeclarationError, match="API_EXCHANGE_SERVICE_BUS is no connection string") as refused:
        container.service_bus()
    assert refused.value.__cause__ is None
    assert "hunter2Zq81" not in str(refused.value)


def test_without_a_storage_account_messages_travel_whole() -> None:
    assert isinstance(azure_container(Exchange("shop")).publisher(), ServiceBusMessagePublisher)


@pytest.mark.parametrize("queues", ["servicebus", "storage"])
def test_with_a_storage_account_large_contents_are_kept_apart(
    monkeypatch: pytest.MonkeyPatch, queues: str
) -> None:
    monkeypatch.setenv("API_EXCHANGE_STORAGE", _STORAGE)
    monkeypatch.setenv("API_EXCHANGE_QUEUES", queues)
    container = azure_container(Exchange("shop"))
    assert isinstance(container.publisher(), ClaimCheckPublisher)
    claims = container.claims()
    assert claims is not None
    assert claims.limit < (256 if queues == "servicebus" else 48) * 1024


def test_tokens_are_in_the_database_unless_a_table_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(azure_container(Exchange("shop")).token_store(), SqlTokenStore)
    monkeypatch.setenv("API_EXCHANGE_TOKEN_TABLE", "shoptokens")
    monkeypatch.setenv("API_EXCHANGE_STORAGE__tableServiceUri", "https://x.table.core.windows.net")
    store = azure_container(Exchange("shop")).token_store()
    assert isinstance(store, TableTokenStore)
    assert (store.table.name, store.table.client.url) == ("shoptokens", "https://x.table.core.windows.net")


def test_a_connection_string_of_tables_that_is_none_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_EXCHANGE_TOKEN_TABLE", "shoptokens")
    monkeypatch.setenv("API_EXCHANGE_STORAGE", "hunter2Zq81")
    with pytest.raises(DeclarationError, match="API_EXCHANGE_STORAGE is no connection string") as refused:
        azure_container(Exchange("shop")).token_store()
    assert "hunter2Zq81" not in str(refused.value)


@pytest.mark.timeout(600)
def test_a_tenant_that_is_erased_loses_its_tokens_and_contents_as_well(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = TableServiceClient.from_connection_string(azurite.connection_string)
    create_token_table(service, "erasedtokens")
    monkeypatch.setenv("API_EXCHANGE_STORAGE", azurite.connection_string)
    monkeypatch.setenv("API_EXCHANGE_TOKEN_TABLE", "erasedtokens")
    monkeypatch.setenv("API_EXCHANGE_PAYLOAD_CONTAINER", "erased-contents")
    deployed = azure_container(Exchange("shop"))
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    deployed.clock.override(providers.Object(clock))
    deployed.sleeper.override(providers.Singleton(VirtualSleeper, clock))
    store = deployed.token_store()
    migrate.upgrade(deployed.engine())
    gone, stays = TenantId("customer-a"), TenantId("customer-b")
    deployed.tenants().add([gone, stays], now=clock.now())
    deployed.tenants().set_enabled(gone, enabled=False)
    for tenant in (gone, stays):
        assert store.claim(
            TokenKey(tenant, "shop"),
            slot=0,
            seen=None,
            owner=tenant,
            lease=timedelta(minutes=1),
            takeover=Takeover(),
        )
    BlobServiceClient.from_connection_string(azurite.connection_string).create_container("erased-contents")
    contents = deployed.payloads()
    claims = {tenant: contents.put(tenant, b"an order") for tenant in (gone, stays)}
    held = deployed.eraser().held(Subject(gone))
    assert (held["erasedtokens"], held["large contents"]) == (1, 1)
    erasure = deployed.use_cases.erase_tenant().run(gone, requested_by="a test")
    assert (erasure.removed["erasedtokens"], erasure.removed["large contents"]) == (1, 1)
    assert [record.key.tenant_id for record in store.all()] == [stays]
    assert {tenant: contents.get(tenant, claims[tenant]) for tenant in claims} == {
        gone: None,
        stays: b"an order",
    }
    assert deployed.use_cases.erase_tenant().sweep() == 0
    deployed.engine().dispose()
    service.delete_table("erasedtokens")


def test_a_deployment_without_a_container_of_contents_holds_none(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_EXCHANGE_STORAGE", azurite.connection_string)
    monkeypatch.setenv("API_EXCHANGE_PAYLOAD_CONTAINER", "not-there")
    contents = azure_container(Exchange("shop")).payloads()
    assert contents.held(TenantId("customer-a")) == 0
    assert contents.erase(TenantId("customer-a"), limit=1) == 0


def test_a_file_needs_a_folder_that_lasts() -> None:
    files = azure_container(Exchange("shop")).files()
    with pytest.raises(PermanentError, match="API_EXCHANGE_OUTPUT_FOLDER"):
        files.append(TenantId("customer-a"), "out.jsonl", [b"{}"])


def test_a_subscription_for_a_queue_that_nobody_consumes_is_refused() -> None:
    exchange = Exchange("shop")
    exchange.queue("take", "orders", Nothing)
    container = azure_container(exchange, AzureSettings())
    with pytest.raises(DeclarationError, match="no function of exchange 'shop' consumes it"):
        create_function_app(
            exchange, container=container, subscriptions={"carts": [Subscription("erp", "x")]}
        )


def test_topics_are_not_for_queues_of_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_EXCHANGE_STORAGE", _STORAGE)
    monkeypatch.setenv("API_EXCHANGE_QUEUES", "storage")
    exchange = Exchange("shop")
    exchange.queue("take", "orders", Nothing)
    with pytest.raises(DeclarationError, match="topics are of Service Bus"):
        create_function_app(
            exchange,
            container=azure_container(exchange),
            subscriptions={"orders": [Subscription("erp", "x")]},
        )
