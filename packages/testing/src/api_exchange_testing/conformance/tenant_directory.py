"""What every `TenantDirectory` does."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_testing.conformance._samples import NOW, OTHER_TENANT, TENANT
from api_exchange_testing.conformance._threads import all_at_once, persistently
from api_exchange_testing.conformance.suite import Suite

_UNKNOWN = TenantId("nobody")
_KEY = sha256(b"key of customer-a").hexdigest()
_OTHER_KEY = sha256(b"key of customer-b").hexdigest()

Connect = Callable[[], TenantDirectory]
"""Another client of one directory, which is empty at first, as another process would have it."""


class TenantDirectorySuite(Suite):
    """Needs a fixture `connect` that returns a `Connect`."""

    @pytest.fixture
    def directory(self, connect: Connect) -> TenantDirectory:
        """The client that writes."""
        return connect()

    @pytest.fixture
    def elsewhere(self, connect: Connect) -> TenantDirectory:
        """Another client, which reads back."""
        return connect()

    def test_an_unknown_tenant_is_none(self, directory: TenantDirectory) -> None:
        assert directory.get(_UNKNOWN) is None
        assert directory.by_api_key(_KEY) is None
        assert list(directory.all()) == []

    def test_added_tenants_are_known_and_enabled(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TENANT], now=NOW)
        assert elsewhere.get(TENANT) == Tenant(TENANT, enabled=True)

    def test_all_are_listed_by_id(self, directory: TenantDirectory, elsewhere: TenantDirectory) -> None:
        ids = [TenantId(id_) for id_ in ("b", "a10", "B", "a-2", "a.2", "a_2", "a2", "0")]
        directory.add(ids[:4], now=NOW)
        directory.add(ids[4:], now=NOW)
        assert [tenant.id for tenant in elsewhere.all()] == sorted(ids)

    def test_ids_that_differ_in_case_are_different_tenants(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TenantId("acme")], now=NOW)
        assert elsewhere.get(TenantId("Acme")) is None

    def test_adding_a_known_tenant_again_leaves_it_as_it_is(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TENANT], now=NOW)
        directory.set_enabled(TENANT, enabled=False)
        directory.add([TENANT, OTHER_TENANT, OTHER_TENANT], now=NOW)
        assert list(elsewhere.all()) == [Tenant(TENANT, enabled=False), Tenant(OTHER_TENANT)]

    def test_adding_none_adds_none(self, directory: TenantDirectory) -> None:
        directory.add([], now=NOW)
        assert list(directory.all()) == []

    def test_a_tenant_is_disabled_and_enabled_alone(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TENANT, OTHER_TENANT], now=NOW)
        directory.set_enabled(TENANT, enabled=False)
        assert list(elsewhere.all()) == [Tenant(TENANT, enabled=False), Tenant(OTHER_TENANT)]
        directory.set_enabled(TENANT, enabled=True)
        assert elsewhere.get(TENANT) == Tenant(TENANT)

    def test_an_unknown_tenant_cannot_be_enabled(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        with pytest.raises(TenantError):
            directory.set_enabled(_UNKNOWN, enabled=True)
        assert elsewhere.get(_UNKNOWN) is None

    def test_an_api_key_proves_its_tenant_and_no_other(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TENANT, OTHER_TENANT], now=NOW)
        directory.add_api_key(TENANT, key_hash=_KEY, now=NOW)
        directory.add_api_key(OTHER_TENANT, key_hash=_OTHER_KEY, now=NOW)
        assert elsewhere.by_api_key(_KEY) == Tenant(TENANT)
        assert elsewhere.by_api_key(_OTHER_KEY) == Tenant(OTHER_TENANT)
        assert elsewhere.by_api_key(sha256(b"no key").hexdigest()) is None

    def test_a_tenant_may_have_several_keys_and_add_one_twice(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TENANT], now=NOW)
        for key_hash in (_KEY, _OTHER_KEY, _KEY):
            directory.add_api_key(TENANT, key_hash=key_hash, now=NOW)
        assert [elsewhere.by_api_key(key_hash) for key_hash in (_KEY, _OTHER_KEY)] == [Tenant(TENANT)] * 2

    def test_a_key_of_one_tenant_cannot_become_anothers(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TENANT, OTHER_TENANT], now=NOW)
        directory.add_api_key(TENANT, key_hash=_KEY, now=NOW)
        with pytest.raises(TenantError):
            directory.add_api_key(OTHER_TENANT, key_hash=_KEY, now=NOW)
        assert elsewhere.by_api_key(_KEY) == Tenant(TENANT)

    def test_an_unknown_tenant_can_have_no_key(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        with pytest.raises(TenantError):
            directory.add_api_key(_UNKNOWN, key_hash=_KEY, now=NOW)
        assert elsewhere.by_api_key(_KEY) is None

    def test_the_key_of_a_disabled_tenant_still_tells_whose_it_is(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TENANT], now=NOW)
        directory.add_api_key(TENANT, key_hash=_KEY, now=NOW)
        directory.set_enabled(TENANT, enabled=False)
        assert elsewhere.by_api_key(_KEY) == Tenant(TENANT, enabled=False)

    def test_many_may_add_the_same_tenants_at_once(
        self, connect: Connect, elsewhere: TenantDirectory
    ) -> None:
        all_at_once(lambda _: persistently(lambda: connect().add([TENANT, OTHER_TENANT], now=NOW)))
        assert list(elsewhere.all()) == [Tenant(TENANT), Tenant(OTHER_TENANT)]

    def test_of_many_tenants_that_claim_one_key_at_once_one_gets_it(
        self, connect: Connect, directory: TenantDirectory
    ) -> None:
        tenants = [TenantId(f"tenant-{number}") for number in range(8)]
        directory.add(tenants, now=NOW)

        def claim(thread: int) -> bool:
            try:
                persistently(lambda: connect().add_api_key(tenants[thread], key_hash=_KEY, now=NOW))
            except TenantError:
                return False
            return True

        won = all_at_once(claim)
        assert sum(won) == 1
        assert directory.by_api_key(_KEY) == Tenant(tenants[won.index(True)])
