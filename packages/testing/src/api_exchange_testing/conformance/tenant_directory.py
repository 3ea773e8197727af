"""What every `TenantDirectory` does."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant, TenantAccount
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, NOW, OTHER_TENANT, TENANT, at
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
        ids = [TenantId(id_) for id_ in ("b", "a10", "C", "a-2", "a.2", "a_2", "a2", "0")]
        directory.add(ids[:4], now=NOW)
        directory.add(ids[4:], now=NOW)
        assert [tenant.id for tenant in elsewhere.all()] == sorted(ids)

    def test_ids_that_differ_in_case_are_different_tenants(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TenantId("acme")], now=NOW)
        assert elsewhere.get(TenantId("Acme")) is None

    @pytest.mark.parametrize("known_before", [True, False])
    def test_a_tenant_that_differs_only_in_case_from_another_is_refused_with_all_that_came_with_it(
        self, directory: TenantDirectory, elsewhere: TenantDirectory, known_before: bool
    ) -> None:
        acme, other = TenantId("acme"), TenantId("ACME")
        if known_before:
            directory.add([acme], now=NOW)
        with pytest.raises(TenantError, match="case"):
            directory.add([acme, TENANT, other], now=NOW)
        assert list(elsewhere.all()) == ([Tenant(acme)] if known_before else [])

    def test_a_tenant_is_configured_alone_and_all_at_once(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TENANT, OTHER_TENANT], now=NOW)
        directory.configure(TENANT, {"shop": EVERY_SCRIPT, "limits": {"rows": 1, "share": 0.5, "none": None}})
        directory.configure(TENANT, {"shop": EVERY_SCRIPT, "hours": [8, 17], "open": True})
        config: dict[str, JsonValue] = {"shop": EVERY_SCRIPT, "hours": [8, 17], "open": True}
        assert list(elsewhere.all()) == [Tenant(TENANT, config=config), Tenant(OTHER_TENANT)]
        assert elsewhere.get(TENANT) == Tenant(TENANT, config=config)

    def test_configuration_outlasts_a_disabled_time(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TENANT], now=NOW)
        directory.configure(TENANT, {"shop": "a"})
        directory.set_enabled(TENANT, enabled=False)
        assert elsewhere.get(TENANT) == Tenant(TENANT, enabled=False, config={"shop": "a"})
        directory.set_enabled(TENANT, enabled=True)
        assert elsewhere.get(TENANT) == Tenant(TENANT, config={"shop": "a"})

    def test_an_unknown_tenant_cannot_be_configured_or_erased(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        with pytest.raises(TenantError):
            directory.configure(_UNKNOWN, {})
        with pytest.raises(TenantError):
            directory.mark_erased(_UNKNOWN, now=NOW)
        assert elsewhere.get(_UNKNOWN) is None

    def test_an_enabled_tenant_is_not_marked_as_erased(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TENANT], now=NOW)
        with pytest.raises(TenantError, match="disable"):
            directory.mark_erased(TENANT, now=NOW)
        assert elsewhere.get(TENANT) == Tenant(TENANT)

    def test_of_an_erased_tenant_the_id_stays_and_nothing_else(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TENANT, OTHER_TENANT], now=NOW)
        directory.configure(TENANT, {"shop": "a"})
        directory.add_api_key(TENANT, key_hash=_KEY, now=NOW)
        directory.add_api_key(OTHER_TENANT, key_hash=_OTHER_KEY, now=NOW)
        directory.set_enabled(TENANT, enabled=False)
        directory.mark_erased(TENANT, now=at(1))
        directory.mark_erased(TENANT, now=at(2))
        assert elsewhere.get(TENANT) == Tenant(TENANT, enabled=False, erased_at=at(1))
        assert elsewhere.by_api_key(_KEY) is None
        assert elsewhere.by_api_key(_OTHER_KEY) == Tenant(OTHER_TENANT)

    def test_an_erased_tenant_comes_back_by_no_way(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([TENANT], now=NOW)
        directory.set_enabled(TENANT, enabled=False)
        directory.mark_erased(TENANT, now=NOW)
        directory.add([TENANT], now=NOW)
        with pytest.raises(TenantError, match="erased"):
            directory.set_enabled(TENANT, enabled=True)
        with pytest.raises(TenantError, match="erased"):
            directory.configure(TENANT, {"shop": "a"})
        with pytest.raises(TenantError, match="erased"):
            directory.add_api_key(TENANT, key_hash=_KEY, now=NOW)
        assert list(elsewhere.all()) == [Tenant(TENANT, enabled=False, erased_at=NOW)]

    def test_accounts_say_when_each_tenant_came_and_how_many_keys_it_has(
        self, directory: TenantDirectory, elsewhere: TenantDirectory
    ) -> None:
        directory.add([OTHER_TENANT], now=NOW)
        directory.add([TENANT, OTHER_TENANT], now=at(60))
        for key_hash in (_KEY, _OTHER_KEY):
            directory.add_api_key(TENANT, key_hash=key_hash, now=at(61))
        assert list(elsewhere.accounts()) == [
            TenantAccount(Tenant(TENANT), at(60), api_keys=2),
            TenantAccount(Tenant(OTHER_TENANT), NOW, api_keys=0),
        ]

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
