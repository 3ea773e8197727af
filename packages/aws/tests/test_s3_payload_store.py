"""Contents in S3 pass the suite of every payload store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from api_exchange_aws.s3.payload_store import S3PayloadStore
from api_exchange_core.domain.claim_check import PayloadClaim
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.payload_store import PayloadStore
from api_exchange_testing.conformance import PayloadStoreSuite
from api_exchange_testing.conformance.payload_store import Damage
from packages.aws.tests.ministack.server import Ministack
from packages.aws.tests.stand_in import StandIn

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET, PREFIX = "shop-contents", "contents/"
TENANT = TenantId("customer-a")


@pytest.fixture
def client(aws: StandIn) -> S3Client:
    client: S3Client = aws.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


class TestS3PayloadStore(PayloadStoreSuite):
    @pytest.fixture
    def payloads(self, client: S3Client) -> PayloadStore:
        return S3PayloadStore(client, BUCKET, PREFIX)

    @pytest.fixture
    def damage(self, client: S3Client) -> Damage:
        def damage(tenant_id: TenantId, claim: PayloadClaim) -> None:
            client.put_object(
                Bucket=BUCKET, Key=f"{PREFIX}{tenant_id}/{claim.digest}", Body=b"something else"
            )

        return damage


def test_a_tenant_whose_id_begins_like_anothers_keeps_its_contents(client: S3Client) -> None:
    store = S3PayloadStore(client, BUCKET, PREFIX)
    store.put(TENANT, b"1")
    kept = store.put(TenantId("customer-a2"), b"2")
    assert store.erase(TENANT, limit=1_000) == 1
    assert store.get(TenantId("customer-a2"), kept) == b"2"


def test_more_contents_than_one_page_are_erased(ministack: Ministack) -> None:
    client = ministack.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    store = S3PayloadStore(client, BUCKET, PREFIX)
    for number in range(1_005):
        store.put(TENANT, b"%d" % number)
    assert store.held(TENANT) == 1_005
    assert store.erase(TENANT, limit=1_002) == 1_002
    assert store.held(TENANT) == 3


def test_a_bucket_that_is_not_there_is_an_error_that_names_it(aws: StandIn) -> None:
    store = S3PayloadStore(aws.client("s3"), "nowhere")
    for act in (lambda: store.put(TENANT, b"1"), lambda: store.get(TENANT, PayloadClaim.to(b"1"))):
        with pytest.raises((PermanentError, TransientError), match=r"bucket 'nowhere'.*NoSuchBucket"):
            act()


def test_a_store_out_of_reach_is_transient() -> None:
    client = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:9",
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )
    with pytest.raises(TransientError, match="s3:PutObject on bucket 'shop-contents'"):
        S3PayloadStore(client, BUCKET).put(TENANT, b"1")
