"""Details of credentials in memory that no suite speaks of."""

from __future__ import annotations

from datetime import UTC, datetime

from api_exchange_core import Exchange
from api_exchange_core.domain.credentials import SystemName
from api_exchange_core.domain.entity import EntityKey
from api_exchange_core.domain.erasure import Erasure, Subject
from api_exchange_core.domain.names import TenantId
from api_exchange_testing import in_memory_container

ACME, UMBRELLA = TenantId("acme"), TenantId("umbrella")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_credentials_go_with_their_tenant_and_with_nothing_less() -> None:
    container = in_memory_container(Exchange("shop", tenants=[ACME, UMBRELLA]))
    keep, eraser = container.operations.keep_credentials(), container.eraser()
    for tenant in (ACME, UMBRELLA):
        for system in ("erp", "shop"):
            keep.set(tenant, SystemName(system), b"secret", by="ann", on_version=0)
    eraser.begin(Erasure(id="1", tenant_id=ACME, entity_proof=None, requested_by="ann", started_at=NOW))
    entity = Subject(ACME, EntityKey(ACME, "order", "shop", "1").id)
    assert eraser.remove(entity, "credentials", erasure_id="1", limit=10) == 0
    assert dict(eraser.held(Subject(ACME))) == {"credentials": 2}
    assert eraser.remove(Subject(ACME), "credentials", erasure_id="1", limit=10) == 2
    assert {account.tenant_id for account in keep.accounts()} == {UMBRELLA}
