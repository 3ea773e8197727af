"""Webhooks are signed with what the credential store and the secrets of the process hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from typing_extensions import override

from api_exchange_core import TransientError
from api_exchange_core.application.administer_credentials import KeepCredentials
from api_exchange_core.application.credential_reader import CREDENTIALS_MEMORY, CredentialReader
from api_exchange_core.application.webhook_secrets import StoredWebhookSecrets, shared_secret_name
from api_exchange_core.domain.credentials import SystemName
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.credential_store import SealedCredentials
from api_exchange_core.ports.webhook_secrets import WebhookSecrets
from api_exchange_testing import (
    InMemoryCredentialStore,
    InMemorySealer,
    InMemorySecretSource,
    InMemoryStore,
    InMemoryTenantDirectory,
    VirtualClock,
)
from api_exchange_testing.conformance import WebhookSecretsSuite
from api_exchange_testing.conformance.webhook_secrets import Knowing, Secrets

NOW = datetime(2026, 3, 1, tzinfo=UTC)
A, B = TenantId("customer-a"), TenantId("customer-b")
SHOP = SystemName("shop")


class CountingStore(InMemoryCredentialStore):
    """Knows whose credentials it was asked for."""

    asked: ClassVar[list[str]] = []

    @override
    def get(self, tenant_id: TenantId, *, system: SystemName) -> SealedCredentials | None:
        CountingStore.asked.append(tenant_id)
        return super().get(tenant_id, system=system)


class CountingSource(InMemorySecretSource):
    """Knows how often it was asked."""

    asked = 0

    @override
    def secret(self, name: str) -> bytes:
        self.asked += 1
        return super().secret(name)


class Here:
    """All that the secrets of webhooks come from."""

    def __init__(self) -> None:
        CountingStore.asked.clear()
        self.clock = VirtualClock(NOW)
        self.sealer = InMemorySealer(["k1"])
        self.shared = CountingSource()
        tenants = InMemoryTenantDirectory()
        store = CountingStore(InMemoryStore())
        self.keep = KeepCredentials(store, self.sealer, tenants, self.clock)
        self.reader = CredentialReader(store, self.sealer, self.clock)
        self.secrets = StoredWebhookSecrets(self.reader, self.shared, self.clock)
        self.tenants = tenants
        self.tenants.add([A, B], now=NOW)

    def put(self, tenant: TenantId, system: str, *secrets: str) -> None:
        """Set the last of *secrets*, and rotate up to the first."""
        name = SystemName(system)
        self.tenants.add([tenant], now=NOW)
        for number, secret in enumerate(reversed(secrets)):
            change = self.keep.rotate if number else self.keep.set
            change(tenant, name, secret.encode(), by="ann", on_version=self.keep.version(tenant, name))


@pytest.fixture
def here() -> Here:
    return Here()


class TestStoredWebhookSecrets(WebhookSecretsSuite):
    @pytest.fixture
    def knowing(self, here: Here) -> Knowing:
        def known(secrets: Secrets) -> WebhookSecrets:
            for (tenant, system), of in secrets.items():
                if tenant is None:
                    here.shared.keep(shared_secret_name(system), "\n".join(of).encode())
                else:
                    here.put(tenant, system, *of)
            return here.secrets

        return known


def test_after_a_rotation_both_are_accepted_until_the_old_one_is_retired(here: Here) -> None:
    here.put(A, SHOP, "new", "old")
    assert here.secrets.secrets_of(A, system="shop") == (b"new", b"old")
    here.keep.retire(A, SHOP)
    here.clock.advance(CREDENTIALS_MEMORY)
    assert here.secrets.secrets_of(A, system="shop") == (b"new",)


def test_a_known_tenant_and_an_unknown_one_are_asked_for_equally_often(here: Here) -> None:
    here.put(A, SHOP, "secret")
    CountingStore.asked.clear()
    for tenant in (A, TenantId("unknown"), A, TenantId("unknown")):
        here.secrets.secrets_of(tenant, system="shop")
    assert CountingStore.asked == [A, "unknown"]


def test_many_unknown_tenants_neither_fill_the_memory_nor_push_a_known_one_out(here: Here) -> None:
    here.put(A, SHOP, "secret")
    here.secrets.secrets_of(A, system="shop")
    CountingStore.asked.clear()
    for number in range(25_000):
        here.secrets.secrets_of(TenantId(f"unknown-{number}"), system="shop")
        assert number % 1_000 or len(here.reader._known) <= 10_000
    assert here.secrets.secrets_of(A, system="shop") == (b"secret",)
    assert A not in CountingStore.asked


def test_what_all_tenants_share_is_a_line_each_and_asked_for_twice_a_minute_at_most(here: Here) -> None:
    assert shared_secret_name("chat-2") == "API_EXCHANGE_WEBHOOK_CHAT_2"
    here.shared.keep("API_EXCHANGE_WEBHOOK_CHAT_2", b"new\r\nold\n\n")
    for _ in range(5):
        assert here.secrets.secrets_of(None, system="chat-2") == [b"new", b"old"]
    assert here.shared.asked == 1
    here.shared.keep("API_EXCHANGE_WEBHOOK_CHAT_2", b"newer")
    here.clock.advance(timedelta(seconds=30))
    assert here.secrets.secrets_of(None, system="chat-2") == [b"newer"]


def test_that_there_is_none_is_remembered_as_well(here: Here) -> None:
    for _ in range(5):
        assert here.secrets.secrets_of(None, system="chat") == ()
    assert here.shared.asked == 1


def test_what_cannot_be_opened_is_not_the_fault_of_the_request(here: Here) -> None:
    here.put(A, SHOP, "hunter2")
    here.sealer.use(["k2"])
    with pytest.raises(TransientError, match="tenant 'customer-a' for 'shop'") as raised:
        here.secrets.secrets_of(A, system="shop")
    assert "hunter2" not in str(raised.value)
