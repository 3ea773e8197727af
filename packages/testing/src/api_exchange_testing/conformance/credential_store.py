"""What every `CredentialStore` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

import pytest

from api_exchange_core.domain.credentials import MAX_SYSTEM, SystemName
from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.credential_store import CredentialStore, SealedCredentials
from api_exchange_core.ports.sealer import SealedText
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, NOW, OTHER_TENANT, TENANT, at
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.conformance.suite import Suite

ConnectCredentials = Callable[[], CredentialStore]
"""Gives another client of the same store, as another process would have it."""

SHOP = SystemName("shop")
ERP = SystemName("erp.v2_x-y")


def credentials(
    version: int = 1,
    *,
    tenant: TenantId = TENANT,
    system: SystemName = SHOP,
    text: str = "v1.k1.AAAA",
    previous: str | None = None,
    until: datetime | None = None,
) -> SealedCredentials:
    """Credentials as they are kept."""
    return SealedCredentials(
        tenant_id=tenant,
        system=system,
        version=version,
        sealed=SealedText(text),
        set_at=NOW,
        set_by=EVERY_SCRIPT,
        previous=None if previous is None else SealedText(previous),
        previous_until=until,
    )


class CredentialStoreSuite(Suite):
    """Needs a fixture `connect_credentials`, a `ConnectCredentials` of an empty store."""

    @pytest.fixture
    def store(self, connect_credentials: ConnectCredentials) -> CredentialStore:
        """The client that writes."""
        return connect_credentials()

    @pytest.fixture
    def elsewhere(self, connect_credentials: ConnectCredentials) -> CredentialStore:
        """Another client, which reads back."""
        return connect_credentials()

    def test_what_was_never_written_is_not_there(self, store: CredentialStore) -> None:
        assert store.get(TENANT, system=SHOP) is None
        assert list(store.page(limit=10)) == []
        assert not store.remove(TENANT, system=SHOP)

    @pytest.mark.parametrize(
        "written",
        [
            credentials(),
            credentials(text="v1.k1." + "A" * 100_000),
            credentials(previous="v1.k0.BBBB"),
            credentials(previous="v1.k0.BBBB", until=at(90)),
            credentials(system=SystemName("s" * MAX_SYSTEM)),
        ],
        ids=["plain", "large", "previous", "until", "long name"],
    )
    def test_what_is_written_is_read_elsewhere_as_it_was(
        self, store: CredentialStore, elsewhere: CredentialStore, written: SealedCredentials
    ) -> None:
        store.write(written)
        assert elsewhere.get(TENANT, system=written.system) == written
        assert list(elsewhere.page(limit=10)) == [written]

    def test_the_next_version_takes_the_place_of_the_one_before_with_all_of_it(
        self, store: CredentialStore, elsewhere: CredentialStore
    ) -> None:
        first = credentials(previous="v1.k0.BBBB", until=at(90))
        second = replace(
            first,
            version=2,
            sealed=SealedText("v1.k2.CCCC"),
            previous=None,
            previous_until=None,
            set_at=at(5),
        )
        store.write(first)
        store.write(second)
        assert elsewhere.get(TENANT, system=SHOP) == second
        assert list(elsewhere.page(limit=10)) == [second]

    @pytest.mark.parametrize("version", [1, 2, 4])
    def test_a_write_on_another_version_than_the_one_that_is_kept_is_refused(
        self, store: CredentialStore, elsewhere: CredentialStore, version: int
    ) -> None:
        store.write(credentials(1))
        store.write(credentials(2))
        with pytest.raises(LostRaceError):
            store.write(credentials(version, text="v1.k1.ZZZZ"))
        assert elsewhere.get(TENANT, system=SHOP) == credentials(2)

    def test_a_later_version_of_what_is_not_there_is_refused(self, store: CredentialStore) -> None:
        store.write(credentials(1, tenant=OTHER_TENANT))
        store.write(credentials(1, system=ERP))
        with pytest.raises(LostRaceError):
            store.write(credentials(2))
        assert store.get(TENANT, system=SHOP) is None

    def test_tenants_and_systems_are_kept_apart(
        self, store: CredentialStore, elsewhere: CredentialStore
    ) -> None:
        mine, theirs = credentials(), credentials(tenant=OTHER_TENANT, text="v1.k1.BBBB")
        other = credentials(system=ERP, text="v1.k1.CCCC")
        for one in (mine, theirs, other):
            store.write(one)
        assert elsewhere.get(TENANT, system=SHOP) == mine
        assert elsewhere.get(OTHER_TENANT, system=SHOP) == theirs
        assert elsewhere.get(OTHER_TENANT, system=ERP) is None
        assert store.remove(TENANT, system=SHOP)
        assert not store.remove(TENANT, system=SHOP)
        assert elsewhere.get(TENANT, system=SHOP) is None
        assert sorted(one.sealed for one in elsewhere.page(limit=10)) == [theirs.sealed, other.sealed]

    def test_after_it_was_removed_it_begins_anew(self, store: CredentialStore) -> None:
        store.write(credentials(1))
        store.write(credentials(2))
        store.remove(TENANT, system=SHOP)
        with pytest.raises(LostRaceError):
            store.write(credentials(3))
        store.write(credentials(1))
        assert store.get(TENANT, system=SHOP) == credentials(1)

    @pytest.mark.parametrize("size", [1, 3, 5, 100])
    def test_pages_put_together_hold_each_once(
        self, store: CredentialStore, elsewhere: CredentialStore, size: int
    ) -> None:
        names = ["shop", "erp", "erp-2", "erp_2", "a.b"]
        written = [
            credentials(tenant=tenant, system=SystemName(name))
            for tenant in (TENANT, OTHER_TENANT)
            for name in names
        ]
        for one in written:
            store.write(one)
        read = self._paged(elsewhere, None, size)
        assert sorted(read, key=_place) == sorted(written, key=_place)
        own = self._paged(elsewhere, OTHER_TENANT, size)
        assert sorted(own, key=_place) == sorted(written[len(names) :], key=_place)

    def test_a_page_goes_on_behind_what_was_removed_or_changed_meanwhile(
        self, store: CredentialStore, elsewhere: CredentialStore
    ) -> None:
        for name in ("a", "b", "c"):
            store.write(credentials(system=SystemName(name)))
        (first,) = elsewhere.page(limit=1)
        store.remove(first.tenant_id, system=first.system)
        (second,) = elsewhere.page(after=first, limit=1)
        store.write(replace(second, version=2))
        (third,) = elsewhere.page(after=second, limit=5)
        assert {first.system, second.system, third.system} == {"a", "b", "c"}

    def test_of_many_that_write_the_same_version_one_wins(
        self, connect_credentials: ConnectCredentials, elsewhere: CredentialStore
    ) -> None:
        for version in (1, 2):

            def write(thread: int, version: int = version) -> bool:
                try:
                    connect_credentials().write(credentials(version, text=f"v1.k1.{thread}"))
                except LostRaceError:
                    return False
                return True

            won = [thread for thread, wrote in enumerate(all_at_once(write)) if wrote]
            assert len(won) == 1
            kept = elsewhere.get(TENANT, system=SHOP)
            assert kept == credentials(version, text=f"v1.k1.{won[0]}")

    def test_what_a_client_reads_is_never_a_half_of_a_write(
        self, connect_credentials: ConnectCredentials, elsewhere: CredentialStore
    ) -> None:
        store = connect_credentials()
        store.write(credentials(1, text="v1.k.1", previous="v1.k.0"))

        def work(thread: int) -> list[SealedCredentials | None]:
            if thread:
                return [elsewhere.get(TENANT, system=SHOP) for _ in range(20)]
            for number in range(2, 12):
                store.write(credentials(number, text=f"v1.k.{number}", previous=f"v1.k.{number - 1}"))
            return []

        for seen in all_at_once(work, threads=3):
            for one in seen:
                assert one is not None
                assert one.sealed == f"v1.k.{one.version}"
                assert one.previous == f"v1.k.{one.version - 1}"
            assert all(
                one.version <= other.version
                for one, other in pairwise(one for one in seen if one is not None)
            )

    def _paged(self, store: CredentialStore, tenant: TenantId | None, size: int) -> list[SealedCredentials]:
        read: list[SealedCredentials] = []
        while page := store.page(tenant_id=tenant, after=read[-1] if read else None, limit=size):
            assert len(page) <= size
            read.extend(page)
        return read


def _place(one: SealedCredentials) -> tuple[str, str]:
    return one.tenant_id, one.system
