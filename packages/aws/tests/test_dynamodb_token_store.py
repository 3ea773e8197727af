"""Tokens in DynamoDB pass the suite of every token store, and what is DynamoDB's own is held here."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from api_exchange_aws.dynamodb.table import create_token_table
from api_exchange_aws.dynamodb.token_store import KEPT, SKEW, DynamoDbTokenStore
from api_exchange_core.adapters.crypto.aes_gcm import KEYRING, AesGcmSealer
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.application.make_token import ACCESS, token_binding
from api_exchange_core.application.reseal_tokens import ResealTokens
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.sealer import SealedText, key_id_of
from api_exchange_core.ports.token_store import NewToken, Takeover, TokenLease
from api_exchange_testing import InMemorySecretSource, VirtualClock
from api_exchange_testing.conformance import PassingTime, TokenStoreSuite
from api_exchange_testing.conformance.token_store import ConnectTokens, TokenClient
from packages.aws.tests.answering import answering, error
from packages.aws.tests.stand_in import StandIn
from packages.aws.tests.token_table import lasting_token_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "shop-tokens"
KEY = TokenKey(TenantId("customer-a"), "shop", "orders")
LEASE = timedelta(seconds=30)
HOUR = timedelta(hours=1)


@pytest.fixture
def client(aws: StandIn) -> DynamoDBClient:
    client: DynamoDBClient = aws.client("dynamodb")
    lasting_token_table(client, TABLE)
    return client


class TestDynamoDbTokenStore(TokenStoreSuite):
    @pytest.fixture
    def connect_tokens(self, aws: StandIn, client: DynamoDBClient, clock: PassingTime) -> ConnectTokens:
        def connect() -> TokenClient:
            store = DynamoDbTokenStore(aws.client("dynamodb"), TABLE, clock, skew=timedelta(0))
            return TokenClient(store, store)

        return connect


def token(token_id: str, *, refresh: str | None = None) -> NewToken:
    return NewToken(
        token_id=TokenId(token_id),
        sealed=SealedText(f"sealed {token_id}"),
        refresh=None if refresh is None else SealedText(refresh),
        expires_in=HOUR,
        lifetime=HOUR,
        live_for=2 * HOUR,
    )


def claimed(
    store: DynamoDbTokenStore, owner: str, *, seen: str | None = None, takeover: Takeover | None = None
) -> TokenLease | None:
    return store.claim(
        KEY,
        slot=0,
        seen=None if seen is None else TokenId(seen),
        owner=owner,
        lease=LEASE,
        takeover=Takeover() if takeover is None else takeover,
    )


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.fixture
def store(client: DynamoDBClient, clock: VirtualClock) -> DynamoDbTokenStore:
    return DynamoDbTokenStore(client, TABLE, clock)


@pytest.fixture
def lease(store: DynamoDbTokenStore) -> TokenLease:
    given = claimed(store, "one")
    assert given is not None
    return given


def removal(client: DynamoDBClient) -> datetime | None:
    [item] = client.scan(TableName=TABLE)["Items"]
    return datetime.fromtimestamp(int(item["remove_at"]["N"]), UTC) if "remove_at" in item else None


def test_an_instance_whose_clock_is_ahead_leaves_a_lease_until_it_is_over_for_all(
    store: DynamoDbTokenStore, client: DynamoDBClient, clock: VirtualClock, lease: TokenLease
) -> None:
    ahead = VirtualClock(clock.now() + SKEW)
    other = DynamoDbTokenStore(client, TABLE, ahead)
    ahead.advance(LEASE - timedelta(microseconds=1))
    assert claimed(other, "two") is None
    ahead.advance(timedelta(microseconds=1))
    assert claimed(other, "two") is not None


def test_an_instance_whose_clock_is_behind_hands_out_no_token_beyond_its_end(
    store: DynamoDbTokenStore, client: DynamoDBClient, clock: VirtualClock, lease: TokenLease
) -> None:
    store.store(lease, token("t-1"))
    behind = DynamoDbTokenStore(client, TABLE, VirtualClock(clock.now() - SKEW))
    state = behind.read(KEY)[0]
    assert (state.expires_in, store.read(KEY)[0].expires_in) == (HOUR, HOUR - SKEW)
    assert store.read(KEY)[0].live_for == 2 * HOUR + SKEW


def test_a_write_that_is_sent_again_since_its_answer_was_lost_has_succeeded(
    store: DynamoDbTokenStore, lease: TokenLease
) -> None:
    assert claimed(store, "one") == lease
    assert store.store(lease, token("t-1"))
    assert store.store(lease, token("t-1"))
    assert not store.store(lease, token("t-2"))
    assert store.read(KEY)[0].generation == 1


def test_a_token_that_nobody_asks_for_again_is_marked_for_removal_until_somebody_does(
    store: DynamoDbTokenStore, client: DynamoDBClient, clock: VirtualClock, lease: TokenLease
) -> None:
    store.store(lease, token("t-1"))
    assert removal(client) == clock.now() + 2 * HOUR + KEPT
    again = claimed(store, "two", seen="t-1")
    assert (again is not None, removal(client)) == (True, None)


def test_a_refresh_token_is_never_marked_for_removal(
    store: DynamoDbTokenStore, client: DynamoDBClient, lease: TokenLease
) -> None:
    store.store(lease, token("t-1", refresh="r-1"))
    assert removal(client) is None
    later = claimed(store, "two", seen="t-1")
    assert later is not None
    store.store(later, token("t-2"))
    assert removal(client) is None


def test_the_table_removes_what_is_marked(aws: StandIn) -> None:
    client: DynamoDBClient = aws.client("dynamodb")
    create_token_table(client, TABLE)
    told = client.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"]
    assert (told["TimeToLiveStatus"], told["AttributeName"]) == ("ENABLED", "remove_at")


def test_names_as_long_as_they_may_be_in_any_script_have_an_item_of_their_own(
    store: DynamoDbTokenStore,
) -> None:
    keys = [
        TokenKey(KEY.tenant_id, "\N{ROCKET}" * 255, "\N{ROCKET}" * 255),
        TokenKey(KEY.tenant_id, "\N{ROCKET}" * 254, "\N{ROCKET}" * 255),
    ]
    for key in keys:
        assert store.claim(key, slot=0, seen=None, owner="one", lease=LEASE, takeover=Takeover())
    assert {record.key for record in store.all()} == set(keys)


def test_a_tenants_tokens_are_erased_in_batches_and_no_others(
    store: DynamoDbTokenStore, lease: TokenLease
) -> None:
    others = TokenKey(TenantId("customer-b"), "shop", "orders")
    for key in (KEY, others):
        for slot in (1, 2):
            store.claim(key, slot=slot, seen=None, owner="one", lease=LEASE, takeover=Takeover())
    assert [store.erase(KEY.tenant_id, limit=2) for _ in range(3)] == [2, 1, 0]
    assert len(store.all()) == 2


def test_a_large_batch_of_a_tenant_is_read_whole(store: DynamoDbTokenStore) -> None:
    for slot in range(4):
        given = store.claim(KEY, slot=slot, seen=None, owner="one", lease=LEASE, takeover=Takeover())
        assert given is not None
        large = replace(token(f"t-{slot}"), sealed=SealedText("x" * 350_000))
        assert store.store(given, large)
    assert set(store.read(KEY)) == {0, 1, 2, 3}, "one answer of DynamoDB has a megabyte at most"


def test_operators_see_and_sweep_tables_of_many_pages(store: DynamoDbTokenStore, clock: VirtualClock) -> None:
    tenants = [TenantId(f"customer-{letter}") for letter in "dbac"]
    for tenant in tenants:
        key = replace(KEY, tenant_id=tenant)
        given = store.claim(key, slot=0, seen=None, owner="one", lease=LEASE, takeover=Takeover())
        assert given is not None
        assert store.store(given, replace(token("t-1"), sealed=SealedText("x" * 350_000)))
    assert [record.key.tenant_id for record in store.all()] == sorted(tenants)
    clock.advance(KEPT)
    day = timedelta(days=1)
    assert [store.sweep(unused_for=day, limit=3) for _ in range(3)] == [3, 1, 0]


def test_tokens_in_a_table_are_sealed_anew_with_the_current_key(
    store: DynamoDbTokenStore, clock: VirtualClock, lease: TokenLease
) -> None:
    old, new = new_entry("old"), new_entry("new")
    sealed = sealer(clock, old).seal(b"token", bound_to=token_binding(KEY, ACCESS))
    store.store(lease, replace(token("t-1"), sealed=sealed))
    resealed = ResealTokens(store, sealer(clock, new, old)).run()
    assert (resealed.resealed, list(resealed.failed)) == (1, [])
    (record,) = store.all()
    assert record.state.sealed is not None
    assert key_id_of(record.state.sealed) == "new"


def sealer(clock: VirtualClock, *keys: str) -> AesGcmSealer:
    return AesGcmSealer(InMemorySecretSource({KEYRING: "\n".join(keys).encode()}), clock)


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (
            error("AccessDeniedException"),
            PermanentError,
            "AWS denies dynamodb:UpdateItem on table 'shop-tokens'",
        ),
        (error("ResourceNotFoundException"), PermanentError, "there is no table 'shop-tokens'"),
        (
            error("ValidationException", "Item size to update has exceeded the maximum allowed size"),
            PermanentError,
            "an item is larger than 400 KB",
        ),
        (error("ProvisionedThroughputExceededException"), TransientError, "throttles"),
        (error("InternalServerError"), TransientError, "InternalServerError"),
    ],
)
def test_what_dynamodb_refuses_is_told_in_our_words(
    answer: tuple[int, dict[str, Any]], kind: type[Exception], said: str, clock: VirtualClock
) -> None:
    with answering({"UpdateItem": answer}) as url, pytest.raises(kind, match=said):
        claimed(DynamoDbTokenStore(client_at(url), TABLE, clock), "one")


def test_a_table_out_of_reach_is_transient(clock: VirtualClock) -> None:
    with pytest.raises(TransientError, match="dynamodb:Query on table 'shop-tokens'"):
        DynamoDbTokenStore(client_at("http://127.0.0.1:9"), TABLE, clock).read(KEY)


def client_at(url: str) -> DynamoDBClient:
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )
