"""What every `TokenStore` does, with the `TokenRecords` of the same tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.sealer import SealedText
from api_exchange_core.ports.token_store import (
    NOTHING,
    NewToken,
    Takeover,
    TokenLease,
    TokenRecords,
    TokenState,
    TokenStore,
)
from api_exchange_testing.conformance._samples import EVERY_SCRIPT
from api_exchange_testing.conformance._threads import all_at_once, persistently
from api_exchange_testing.conformance.suite import PassingTime, Suite

_KEY = TokenKey(TenantId("customer-a"), "shop", "orders")
_OTHERS = (
    TokenKey(TenantId("customer-b"), "shop", "orders"),
    TokenKey(TenantId("customer-a"), "erp", "orders"),
    TokenKey(TenantId("customer-a"), "shop", EVERY_SCRIPT),
)
_LEASE = timedelta(seconds=30)
_LIFE = timedelta(hours=1)
_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class TokenClient:
    """One instance's way to the tokens of a store, as another process would have it."""

    store: TokenStore
    records: TokenRecords

    def claims(
        self,
        owner: str,
        *,
        key: TokenKey = _KEY,
        slot: int = 0,
        seen: str | None = None,
        takeover: Takeover | None = None,
    ) -> TokenLease | None:
        """Ask for the lease."""
        return self.store.claim(
            key,
            slot=slot,
            seen=None if seen is None else TokenId(seen),
            owner=owner,
            lease=_LEASE,
            takeover=Takeover() if takeover is None else takeover,
        )

    def leads(
        self, owner: str, *, key: TokenKey = _KEY, slot: int = 0, seen: str | None = None
    ) -> TokenLease:
        """Get the lease."""
        lease = self.claims(owner, key=key, slot=slot, seen=seen)
        assert lease is not None
        return lease

    def stores(self, lease: TokenLease, token_id: str, *, refresh: str | None = None) -> bool:
        """Store a token that lives for an hour, and is counted as live for a minute more."""
        return self.store.store(
            lease,
            NewToken(
                token_id=TokenId(token_id),
                sealed=SealedText(f"sealed {token_id}"),
                refresh=None if refresh is None else SealedText(refresh),
                expires_in=_LIFE,
                lifetime=_LIFE,
                live_for=_LIFE + timedelta(minutes=1),
            ),
        )

    def makes(
        self, token_id: str, *, key: TokenKey = _KEY, slot: int = 0, refresh: str | None = None
    ) -> None:
        """Claim, and store."""
        lease = self.leads(f"of {token_id}", key=key, slot=slot)
        assert self.stores(lease, token_id, refresh=refresh)

    def state(self, *, key: TokenKey = _KEY, slot: int = 0) -> TokenState:
        """What is kept."""
        return self.store.read(key)[slot]


ConnectTokens = Callable[[], TokenClient]
"""Gives another client of the same store, whose time is the suite's `clock`."""


class TokenStoreSuite(Suite):
    """Needs a fixture `connect_tokens` that returns a `ConnectTokens` on an empty store with the suite's tenants."""

    @pytest.fixture
    def first(self, connect_tokens: ConnectTokens) -> TokenClient:
        """An instance."""
        return connect_tokens()

    @pytest.fixture
    def second(self, connect_tokens: ConnectTokens) -> TokenClient:
        """Another one."""
        return connect_tokens()

    def test_of_what_nobody_asked_for_nothing_is_kept(self, first: TokenClient) -> None:
        assert first.store.read(_KEY) == {}

    def test_what_one_instance_stores_all_others_read(
        self, first: TokenClient, second: TokenClient, clock: PassingTime
    ) -> None:
        first.makes("t-1", refresh="sealed refresh")
        clock.advance(timedelta(minutes=10))
        assert second.state() == TokenState(
            generation=1,
            token_id=TokenId("t-1"),
            sealed=SealedText("sealed t-1"),
            refresh=SealedText("sealed refresh"),
            expires_in=timedelta(minutes=50),
            lifetime=_LIFE,
            live_for=timedelta(minutes=51),
        )

    def test_how_long_it_has_expired_is_told(self, first: TokenClient, clock: PassingTime) -> None:
        first.makes("t-1")
        clock.advance(_LIFE + timedelta(minutes=5))
        assert (first.state().expires_in, first.state().live_for) == (timedelta(minutes=-5), NOTHING)

    @pytest.mark.parametrize("other", _OTHERS, ids=["tenant", "api", "scope"])
    def test_tenants_apis_and_scopes_are_apart(self, first: TokenClient, other: TokenKey) -> None:
        first.makes("t-1")
        assert first.store.read(other) == {}
        first.makes("t-2", key=other)
        assert first.state().generation == 1
        assert not first.store.invalidate(other, TokenId("t-1"))

    def test_slots_of_a_key_are_apart(self, first: TokenClient) -> None:
        first.makes("t-1", slot=1)
        first.makes("t-2", slot=2)
        assert {slot: state.token_id for slot, state in first.store.read(_KEY).items()} == {
            1: "t-1",
            2: "t-2",
        }

    def test_while_one_has_the_lease_nobody_else_gets_it(
        self, first: TokenClient, second: TokenClient, clock: PassingTime
    ) -> None:
        first.leads("one")
        clock.advance(_LEASE - _MOMENT)
        assert second.claims("two") is None
        assert second.state().leased_for == _MOMENT

    def test_when_its_time_is_over_the_next_gets_it_with_a_higher_fence(
        self, first: TokenClient, second: TokenClient, clock: PassingTime
    ) -> None:
        lease = first.leads("one")
        clock.advance(_LEASE)
        assert second.leads("two").fence > lease.fence

    def test_a_late_leader_stores_nothing_over_its_successor(
        self, first: TokenClient, second: TokenClient, clock: PassingTime
    ) -> None:
        late = first.leads("one")
        clock.advance(_LEASE)
        successor = second.leads("two")
        assert not first.stores(late, "t-late", refresh="late")
        assert not first.store.give_back(late, failed=True, bar=_LIFE)
        assert second.stores(successor, "t-2")
        assert not first.stores(late, "t-late", refresh="late")
        assert (first.state().token_id, first.state().refresh, first.state().failures) == ("t-2", None, 0)

    def test_a_late_leader_without_a_successor_is_not_too_late(
        self, first: TokenClient, clock: PassingTime
    ) -> None:
        lease = first.leads("one")
        clock.advance(_LEASE * 2)
        assert first.stores(lease, "t-1")

    def test_a_lease_is_used_once(self, first: TokenClient) -> None:
        lease = first.leads("one")
        assert first.stores(lease, "t-1")
        assert not first.stores(lease, "t-2")
        assert not first.store.give_back(lease, failed=False)

    def test_who_has_not_seen_the_current_token_makes_no_other(
        self, first: TokenClient, second: TokenClient
    ) -> None:
        first.makes("t-1")
        assert second.claims("two") is None
        assert second.claims("two", seen="t-0") is None
        assert second.claims("two", seen="t-1") is not None

    def test_what_nobody_ended_is_passed_over_when_the_grant_allows_it(
        self, first: TokenClient, second: TokenClient, clock: PassingTime
    ) -> None:
        first.leads("one")
        clock.advance(_LEASE * 2)
        assert second.claims("two", takeover=Takeover(after=None)) is None
        assert second.claims("two", takeover=Takeover(after=_LEASE + _MOMENT)) is None
        assert second.claims("two", takeover=Takeover(after=_LEASE)) is not None

    def test_a_slot_whose_token_may_be_live_is_left_alone_if_asked(
        self, first: TokenClient, clock: PassingTime
    ) -> None:
        alone = Takeover(beside_live=False)
        first.makes("t-1")
        clock.advance(_LIFE + timedelta(seconds=59))
        assert first.claims("two", seen="t-1", takeover=alone) is None
        clock.advance(_MOMENT)
        assert first.claims("two", seen="t-1", takeover=alone) is not None

    def test_a_token_that_never_arrived_may_be_live_all_the_same(
        self, first: TokenClient, clock: PassingTime
    ) -> None:
        alone = Takeover(beside_live=False)
        assert first.store.give_back(first.leads("one"), failed=True, live_for=_LIFE)
        assert first.claims("two", takeover=alone) is None
        clock.advance(_LIFE)
        assert first.claims("two", takeover=alone) is not None

    def test_a_lease_that_is_given_back_is_free(self, first: TokenClient, second: TokenClient) -> None:
        assert first.store.give_back(first.leads("one"), failed=False)
        assert first.state().leased_for is None
        assert second.leads("two").failures == 0

    def test_while_the_vendor_is_to_be_left_alone_nobody_gets_a_lease(
        self, first: TokenClient, second: TokenClient, clock: PassingTime
    ) -> None:
        for failures in range(2):
            lease = first.leads("one")
            assert lease.failures == failures
            assert first.store.give_back(lease, failed=True, bar=_LEASE)
            assert second.claims("two") is None
            assert second.state().barred_for == _LEASE
            clock.advance(_LEASE)
        assert second.state().failures == 2

    def test_a_token_ends_failures_and_bar(self, first: TokenClient, clock: PassingTime) -> None:
        first.store.give_back(first.leads("one"), failed=True, bar=_LEASE)
        clock.advance(_LEASE)
        first.makes("t-1")
        assert (first.state().failures, first.state().barred_for) == (0, NOTHING)

    def test_an_invalid_token_is_gone_for_all_and_its_refresh_token_stays(
        self, first: TokenClient, second: TokenClient
    ) -> None:
        first.makes("t-1", refresh="refresh")
        assert second.store.invalidate(_KEY, TokenId("t-1"))
        state = first.state()
        assert (state.token_id, state.sealed, state.refresh) == (None, None, "refresh")
        assert (state.live_for, state.expires_in) == (NOTHING, NOTHING)
        assert second.leads("two").refresh == "refresh"

    def test_only_the_current_token_can_be_declared_invalid(self, first: TokenClient) -> None:
        first.makes("t-1")
        assert first.stores(first.leads("one", seen="t-1"), "t-2")
        assert not first.store.invalidate(_KEY, TokenId("t-1"))
        assert first.store.invalidate(_KEY, TokenId("t-2"))
        assert not first.store.invalidate(_KEY, TokenId("t-2"))

    def test_a_refresh_token_stays_until_there_is_a_newer_one(self, first: TokenClient) -> None:
        first.makes("t-1", refresh="r-1")
        assert first.stores(first.leads("one", seen="t-1"), "t-2")
        assert first.state().refresh == "r-1"
        assert first.stores(first.leads("two", seen="t-2"), "t-3", refresh="r-3")
        assert (first.state().refresh, first.state().generation) == ("r-3", 3)

    def test_a_reset_frees_what_was_never_ended_and_shuts_its_holder_out(
        self, first: TokenClient, second: TokenClient, clock: PassingTime
    ) -> None:
        first.makes("t-1", refresh="r-1")
        lost = first.leads("one", seen="t-1")
        clock.advance(_LEASE)
        assert second.records.reset(_KEY) == 1
        assert not first.stores(lost, "t-2")
        lease = second.claims("two", seen="t-1", takeover=Takeover(after=None))
        assert lease is not None
        assert (lease.refresh, lease.fence > lost.fence) == ("r-1", True)

    def test_a_reset_may_forget_the_refresh_token_and_ends_a_bar(self, first: TokenClient) -> None:
        first.makes("t-1", refresh="r-1")
        first.store.give_back(first.leads("one", seen="t-1"), failed=True, bar=_LIFE)
        assert first.records.reset(_KEY, forget_refresh=True) == 1
        state = first.state()
        assert (state.refresh, state.failures, state.barred_for, state.token_id) == (None, 0, NOTHING, "t-1")
        assert first.records.reset(_OTHERS[0]) == 0

    def test_seals_are_replaced_and_nothing_else_is(
        self, first: TokenClient, second: TokenClient, clock: PassingTime
    ) -> None:
        first.makes("t-1", refresh="r-1")
        lease = first.leads("one", seen="t-1")
        clock.advance(_MOMENT)
        (record,) = second.records.all()
        assert second.records.replace(record, sealed=SealedText("again"), refresh=SealedText("r-again"))
        (now,) = second.records.all()
        assert now.state == replace(record.state, sealed=SealedText("again"), refresh=SealedText("r-again"))
        assert first.stores(lease, "t-2")
        assert (first.state().token_id, first.state().refresh) == ("t-2", "r-again")

    def test_seals_of_what_has_changed_since_are_not_replaced(
        self, first: TokenClient, second: TokenClient
    ) -> None:
        first.makes("t-1", refresh="r-1")
        (old,) = second.records.all()
        assert first.stores(first.leads("one", seen="t-1"), "t-2", refresh="r-2")
        assert not second.records.replace(
            old, sealed=SealedText("t-1 again"), refresh=SealedText("r-1 again")
        )
        assert first.store.invalidate(_KEY, TokenId("t-2"))
        (without,) = second.records.all()
        assert without.state.sealed is None
        assert second.records.replace(without, sealed=None, refresh=SealedText("r-2 again"))
        assert (first.state().sealed, first.state().refresh) == (None, "r-2 again")
        assert not second.records.replace(without, sealed=None, refresh=SealedText("r-3"))

    def test_uses_add_up_from_all_instances(self, first: TokenClient, second: TokenClient) -> None:
        first.makes("t-1")
        first.makes("t-2", slot=1)
        for client in (first, second):
            client.store.count({(_KEY, 0): 3, (_KEY, 1): 1, (_OTHERS[0], 0): 5})
        first.store.count({})
        assert {slot: state.uses for slot, state in first.store.read(_KEY).items()} == {0: 6, 1: 2}
        assert first.store.read(_OTHERS[0]) == {}

    def test_operators_see_every_slot_in_order(self, first: TokenClient) -> None:
        for number, key in enumerate((*_OTHERS, _KEY)):
            first.makes(f"t-{number}", key=key)
        first.makes("t-9", slot=1)
        addresses = [(one.key, one.slot) for one in first.records.all()]
        assert addresses == sorted(
            addresses, key=lambda one: (one[0].tenant_id, one[0].api, one[0].scope, one[1])
        )
        assert {key for key, _ in addresses} == {*_OTHERS, _KEY}
        ours = first.records.all(TenantId("customer-b"))
        assert [(one.key, one.state.token_id) for one in ours] == [(_OTHERS[0], "t-0")]

    def test_what_expired_long_ago_is_swept_in_batches(self, first: TokenClient, clock: PassingTime) -> None:
        for slot in range(3):
            first.makes(f"t-{slot}", slot=slot)
        clock.advance(_LIFE + timedelta(days=1) - _MOMENT)
        assert first.store.sweep(unused_for=timedelta(days=1), limit=2) == 0
        clock.advance(_MOMENT)
        assert [first.store.sweep(unused_for=timedelta(days=1), limit=2) for _ in range(3)] == [2, 1, 0]
        assert first.store.read(_KEY) == {}

    def test_what_is_still_needed_is_not_swept(self, first: TokenClient, clock: PassingTime) -> None:
        first.makes("t-1", refresh="kept: there is no other")
        first.leads("of an exchange that nobody ended", slot=1)
        first.store.give_back(first.leads("barred", slot=2), failed=True, bar=timedelta(days=30))
        first.store.give_back(first.leads("live", slot=3), failed=True, live_for=timedelta(days=30))
        clock.advance(timedelta(days=2))
        first.makes("t-4", slot=4)
        assert first.store.sweep(unused_for=timedelta(days=1), limit=9) == 0
        assert set(first.store.read(_KEY)) == {0, 1, 2, 3, 4}

    def test_the_lease_of_a_row_that_was_removed_is_worth_nothing(
        self, first: TokenClient, clock: PassingTime
    ) -> None:
        old = first.leads("one")
        assert first.stores(old, "t-1")
        clock.advance(timedelta(days=2))
        assert first.store.sweep(unused_for=timedelta(hours=1), limit=9) == 1
        new = first.leads("two")
        assert new.fence == old.fence
        assert not first.stores(old, "t-old")
        assert first.stores(new, "t-2")

    def test_of_many_that_ask_at_once_one_gets_the_lease(self, connect_tokens: ConnectTokens) -> None:
        def claim(thread: int) -> bool:
            client = connect_tokens()
            return persistently(lambda: client.claims(f"thread-{thread}")) is not None

        assert sum(all_at_once(claim)) == 1
