"""Tokens in Table Storage pass the suite of every token store, and what is its own is held here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient, TableServiceClient
from typing_extensions import override

from api_exchange_azure.tables.table import create_token_table
from api_exchange_azure.tables.token_entities import LONGEST_TEXT
from api_exchange_azure.tables.token_store import SKEW, TableTokenStore
from api_exchange_azure.tables.token_table import TokenTable
from api_exchange_core.adapters.crypto.aes_gcm import AesGcmSealer
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.adapters.system.randomness import SystemRandomness
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.application.api_tokens import ApiTokens
from api_exchange_core.application.token_plan import CallableGrant, TokenPlan
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.deadline import NO_DEADLINE
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.secret import Secret
from api_exchange_core.domain.token_answer import TokenAnswer
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.sealer import SealedText
from api_exchange_core.ports.token_store import NOTHING, NewToken, Takeover, TokenLease
from api_exchange_testing import (
    InMemorySecretSource,
    RecordingObserver,
    SeededRandomness,
    VirtualClock,
    VirtualSleeper,
)
from api_exchange_testing.conformance import PassingTime, TokenStoreSuite
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.conformance.token_store import ConnectTokens, TokenClient
from packages.azure.tests.answering_tables import answering
from packages.azure.tests.azurite.server import Azurite

# The first to ask for it installs Node and Azurite, which takes a minute.
pytestmark = pytest.mark.timeout(600)

KEY = TokenKey(TenantId("customer-a"), "shop", "orders")
LEASE = timedelta(seconds=30)
HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Unreliable(RequestsTransport):  # type: ignore[misc]  # azure-core loads it lazily, as Any
    """Loses the answers of writes, and lets something happen just before one."""

    def __init__(self) -> None:
        super().__init__()
        self.loses = 0
        self.before_write: Callable[[], object] = lambda: None

    @override
    def send(self, request: Any, **options: Any) -> Any:
        if request.method not in {"PUT", "POST"}:
            return super().send(request, **options)
        before, self.before_write = self.before_write, lambda: None
        before()
        answer = super().send(request, **options)
        if self.loses:
            self.loses -= 1
            raise ServiceResponseError("the connection was closed")
        return answer


@dataclass
class Stores:
    """Instances over one table."""

    azurite: Azurite
    table: str
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOW))
    instances: int = 0

    def client(self, **options: Any) -> TableClient:
        return TableClient.from_connection_string(
            self.azurite.connection_string, self.table, retry_backoff_factor=0, **options
        )

    def store(
        self, client: TableClient | None = None, *, clock: Clock | None = None, skew: timedelta = SKEW
    ) -> TableTokenStore:
        self.instances += 1
        return TableTokenStore(
            TokenTable(self.client() if client is None else client),
            self.clock if clock is None else clock,
            VirtualSleeper(VirtualClock(NOW)),
            SeededRandomness(self.instances),
            skew=skew,
        )


@pytest.fixture
def stores(azurite: Azurite) -> Iterator[Stores]:
    service = TableServiceClient.from_connection_string(azurite.connection_string)
    name = f"tokens{uuid4().hex[:12]}"
    create_token_table(service, name)
    yield Stores(azurite, name)
    service.delete_table(name)


@pytest.fixture
def store(stores: Stores) -> TableTokenStore:
    return stores.store()


class TestTableTokenStore(TokenStoreSuite):
    @pytest.fixture
    def connect_tokens(self, stores: Stores, clock: PassingTime) -> ConnectTokens:
        def connect() -> TokenClient:
            store = stores.store(clock=clock, skew=NOTHING)
            return TokenClient(store, store)

        return connect


def token(token_id: str, *, sealed: str | None = None, refresh: str | None = None) -> NewToken:
    return NewToken(
        token_id=TokenId(token_id),
        sealed=SealedText(f"sealed {token_id}" if sealed is None else sealed),
        refresh=None if refresh is None else SealedText(refresh),
        expires_in=HOUR,
        lifetime=HOUR,
        live_for=2 * HOUR,
    )


def claimed(
    store: TableTokenStore, owner: str, *, key: TokenKey = KEY, slot: int = 0, seen: str | None = None
) -> TokenLease | None:
    return store.claim(
        key,
        slot=slot,
        seen=None if seen is None else TokenId(seen),
        owner=owner,
        lease=LEASE,
        takeover=Takeover(),
    )


def leads(store: TableTokenStore, owner: str, *, slot: int = 0) -> TokenLease:
    lease = claimed(store, owner, slot=slot)
    assert lease is not None
    return lease


def test_an_instance_whose_clock_is_ahead_leaves_a_lease_until_it_is_over_for_all(
    stores: Stores, store: TableTokenStore
) -> None:
    leads(store, "one")
    ahead = VirtualClock(NOW + SKEW)
    other = stores.store(clock=ahead)
    ahead.advance(LEASE - timedelta(microseconds=1))
    assert claimed(other, "two") is None
    ahead.advance(timedelta(microseconds=1))
    assert claimed(other, "two") is not None


def test_an_instance_whose_clock_is_behind_hands_out_no_token_beyond_its_end(
    stores: Stores, store: TableTokenStore
) -> None:
    store.store(leads(store, "one"), token("t-1"))
    behind = stores.store(clock=VirtualClock(NOW - SKEW))
    assert (behind.read(KEY)[0].expires_in, store.read(KEY)[0].expires_in) == (HOUR, HOUR - SKEW)
    assert store.read(KEY)[0].live_for == 2 * HOUR + SKEW


def test_writes_whose_answers_are_lost_have_succeeded_once(stores: Stores) -> None:
    """The client sends each of them again, and is told that somebody was quicker: itself."""
    transport = Unreliable()
    store = stores.store(stores.client(transport=transport))

    def losing(work: Callable[[], object]) -> object:
        transport.loses = 1
        done = work()
        assert transport.loses == 0
        return done

    lease = losing(lambda: claimed(store, "one"))
    assert isinstance(lease, TokenLease)
    assert losing(lambda: store.store(lease, token("t-1")))
    assert losing(lambda: store.count({(KEY, 0): 3})) is None
    again = losing(lambda: claimed(store, "two", seen="t-1"))
    assert isinstance(again, TokenLease)
    assert losing(lambda: store.give_back(again, failed=True))
    state = store.read(KEY)[0]
    assert (state.generation, state.uses, state.failures) == (1, 3, 1)
    assert losing(lambda: store.invalidate(KEY, TokenId("t-1")))
    assert losing(lambda: store.reset(KEY)) == 1
    third = claimed(store, "three")
    assert third is not None
    assert third.fence == again.fence + 2


def test_a_lease_whose_answer_was_lost_is_found_under_what_others_wrote_since(
    stores: Stores, store: TableTokenStore
) -> None:
    lease = leads(store, "one")
    store.count({(KEY, 0): 1})
    assert claimed(stores.store(), "one") == lease
    assert store.store(lease, token("t-1"))
    store.count({(KEY, 0): 1})
    assert stores.store().store(lease, token("t-1"))
    assert not store.store(lease, token("t-2"))
    assert store.read(KEY)[0].generation == 1


def test_a_change_that_others_were_quicker_than_is_made_of_what_is_there_then(stores: Stores) -> None:
    transport = Unreliable()
    first, second = stores.store(stores.client(transport=transport)), stores.store()
    lease = leads(second, "one")
    transport.before_write = lambda: second.count({(KEY, 0): 5})
    assert first.store(lease, token("t-1"))
    assert (first.read(KEY)[0].token_id, first.read(KEY)[0].uses) == ("t-1", 5)
    transport.before_write = lambda: claimed(second, "two", seen="t-1")
    assert claimed(first, "three", seen="t-1") is None


def test_a_slot_that_was_removed_meanwhile_is_not_brought_back(stores: Stores) -> None:
    transport = Unreliable()
    first, second = stores.store(stores.client(transport=transport)), stores.store()
    lease = leads(second, "one")
    transport.before_write = lambda: second.erase(KEY.tenant_id, limit=9)
    assert not first.store(lease, token("t-1"))
    assert first.read(KEY) == {}


def test_who_is_never_quick_enough_gives_up_and_may_try_again(stores: Stores) -> None:
    transport = Unreliable()
    first, second = stores.store(stores.client(transport=transport)), stores.store()
    lease = leads(second, "one")

    def interfere() -> None:
        second.count({(KEY, 0): 1})
        transport.before_write = interfere

    transport.before_write = interfere
    with pytest.raises(TransientError, match="'customer-a' for API 'shop' is being changed by others"):
        first.store(lease, token("t-1"))
    transport.before_write = lambda: None
    assert first.store(lease, token("t-1"))


@pytest.mark.parametrize("name", ["/", "\\", "#?", "\x00\x1f\x7f\x9f", "'", "a'b or '1' eq '1", "%2F "])
def test_names_of_any_characters_have_an_entity_of_their_own(store: TableTokenStore, name: str) -> None:
    key = TokenKey(KEY.tenant_id, name, name)
    assert claimed(store, "one", key=key) is not None
    assert set(store.read(key)) == {0}
    assert store.read(KEY) == {}
    assert [record.key for record in store.all(KEY.tenant_id)] == [key]


def test_names_as_long_as_they_may_be_in_any_script_have_an_entity_of_their_own(
    store: TableTokenStore,
) -> None:
    keys = {TokenKey(TenantId("c" * 64), "\N{ROCKET}" * length, "\N{ROCKET}" * 255) for length in (254, 255)}
    for key in keys:
        assert claimed(store, "one", key=key)
    assert {record.key for record in store.all()} == keys


@pytest.mark.parametrize("length", [0, 1, LONGEST_TEXT, LONGEST_TEXT + 1, 3 * LONGEST_TEXT])
def test_a_token_longer_than_a_property_is_kept_in_several(store: TableTokenStore, length: int) -> None:
    sealed = "".join(chr(ord("a") + at % 26) for at in range(length))
    store.store(leads(store, "one"), token("t-1", sealed=sealed, refresh=sealed))
    assert (store.read(KEY)[0].sealed, store.read(KEY)[0].refresh) == (sealed, sealed)
    later = claimed(store, "two", seen="t-1")
    assert later is not None
    store.store(later, token("t-2", sealed="short"))
    assert store.read(KEY)[0].sealed == "short"


def test_a_tenants_tokens_are_erased_in_batches_and_no_others(store: TableTokenStore) -> None:
    for key in (KEY, TokenKey(TenantId("customer-b"), "shop", "orders")):
        for slot in range(3):
            claimed(store, "one", key=key, slot=slot)
    assert [store.erase(KEY.tenant_id, limit=2) for _ in range(3)] == [2, 1, 0]
    assert {record.key.tenant_id for record in store.all()} == {"customer-b"}


def test_the_table_may_be_made_twice(stores: Stores) -> None:
    service = TableServiceClient.from_connection_string(stores.azurite.connection_string)
    create_token_table(service, stores.table)
    assert stores.store().all() == []


def test_a_table_that_is_not_there_is_named(stores: Stores) -> None:
    missing = Stores(stores.azurite, "nothere").store()
    for work in (
        lambda: missing.read(KEY),
        lambda: claimed(missing, "one"),
        lambda: missing.all(),
        lambda: missing.sweep(unused_for=HOUR, limit=1),
    ):
        with pytest.raises(PermanentError, match=r"there is no table 'nothere'.*create it"):
            work()


@pytest.mark.parametrize(
    ("status", "code", "headers", "kind", "said"),
    [
        (
            403,
            "AuthorizationPermissionMismatch",
            {},
            PermanentError,
            "Azure denies read an entity on table 'x",
        ),
        (403, "AuthenticationFailed", {}, PermanentError, "Azure denies"),
        (413, "RequestBodyTooLarge", {}, PermanentError, "RequestBodyTooLarge"),
        (429, "TooManyRequests", {"Retry-After": "7"}, TransientError, "throttles"),
        (503, "ServerBusy", {"Retry-After": "7"}, TransientError, "throttles"),
        (503, "ServerBusy", {}, TransientError, "throttles"),
        (500, "InternalError", {}, TransientError, "InternalError"),
    ],
)
def test_what_table_storage_refuses_is_told_in_our_words(
    status: int, code: str, headers: dict[str, str], kind: type[Exception], said: str
) -> None:
    with answering(status, code, headers) as connection:
        client = TableClient.from_connection_string(connection, "xyz", retry_total=0)
        store = TableTokenStore(TokenTable(client), SystemClock(), SystemSleeper(), SystemRandomness())
        with pytest.raises(kind, match=said) as raised:
            claimed(store, "one")
    asked = timedelta(seconds=7) if headers else None
    assert getattr(raised.value, "retry_after", None) == asked


def test_a_table_out_of_reach_is_transient() -> None:
    with answering(200, "", {}) as gone:
        pass
    client = TableClient.from_connection_string(gone, "xyz", retry_total=0)
    store = TableTokenStore(TokenTable(client), SystemClock(), SystemSleeper(), SystemRandomness())
    with pytest.raises(TransientError, match="query on table 'xyz'"):
        store.read(KEY)


@dataclass(frozen=True)
class Skewed(Clock):
    by: timedelta

    @override
    def now(self) -> datetime:
        return datetime.now(UTC) + self.by


def test_sixteen_threads_of_instances_with_clocks_apart_get_one_token_by_one_exchange(
    stores: Stores,
) -> None:
    asked: list[int] = []

    def ask() -> TokenAnswer:
        asked.append(1)
        return TokenAnswer(Secret(f"token-{len(asked)}"), HOUR)

    sealer = AesGcmSealer(InMemorySecretSource({"API_EXCHANGE_KEYS": new_entry("k").encode()}), SystemClock())

    def instance(number: int) -> ApiTokens:
        clock = Skewed(SKEW / 2 * (-1) ** number)
        store = TableTokenStore(TokenTable(stores.client()), clock, SystemSleeper(), SystemRandomness())
        return ApiTokens(store, sealer, clock, SystemSleeper(), SystemRandomness(), RecordingObserver())

    instances = [instance(number) for number in range(4)]
    plan = TokenPlan(grant=CallableGrant(ask, timedelta(seconds=10)))
    got = all_at_once(
        lambda thread: instances[thread % 4].get(KEY, plan, NO_DEADLINE).token.reveal(), threads=16
    )
    assert (set(got), len(asked)) == ({"token-1"}, 1)
    assert stores.store(clock=SystemClock()).read(KEY)[0].generation == 1
