"""Files in S3 pass the suite of every file sink, for readers that take a folder of parts as one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dependency_injector import providers

from api_exchange_aws.containers import aws_container
from api_exchange_aws.s3.file_sink import S3FileSink
from api_exchange_aws.settings import AwsSettings
from api_exchange_core import Exchange, PermanentError
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.adapters.system.randomness import SystemRandomness
from api_exchange_core.domain.names import TenantId
from api_exchange_testing.conformance import FileSinkSuite
from api_exchange_testing.conformance.file_sink import Read
from packages.aws.tests.ministack.server import Ministack
from packages.aws.tests.stand_in import REGION

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "shop-files"
TENANT = TenantId("customer-a")


@pytest.fixture
def client(ministack: Ministack) -> S3Client:
    client: S3Client = ministack.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


@pytest.fixture
def sink(client: S3Client) -> S3FileSink:
    return S3FileSink(client, BUCKET, SystemClock(), SystemRandomness(), prefix="out/")


def parts(client: S3Client, folder: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=folder, Delimiter="/")
    return [one["Key"] for page in pages for one in page.get("Contents", [])]


class TestS3FileSink(FileSinkSuite):
    @pytest.fixture
    def read(self, client: S3Client) -> Read:
        known: dict[str, bytes] = {}  # nobody changes a part

        def part(key: str) -> bytes:
            if key not in known:
                known[key] = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            return known[key]

        return lambda tenant_id, name: b"".join(map(part, parts(client, f"out/{tenant_id}/{name}/")))


def test_each_call_is_a_part_that_is_named_by_its_time(client: S3Client, sink: S3FileSink) -> None:
    for number in range(3):
        sink.append(TENANT, "orders.jsonl", [b"%d" % number])
    keys = parts(client, "out/customer-a/orders.jsonl/")
    assert len(keys) == 3
    assert keys == sorted(keys)
    assert all(key.endswith(".jsonl") for key in keys)


def test_a_file_of_many_parts_is_one_file_when_it_is_erased(client: S3Client, sink: S3FileSink) -> None:
    for _ in range(3):
        sink.append(TENANT, "orders.jsonl", [b"{}"])
    sink.append(TenantId("customer-a2"), "orders.jsonl", [b"{}"])
    assert sink.erase(TENANT) == 1
    assert parts(client, "out/customer-a/orders.jsonl/") == []
    assert len(parts(client, "out/customer-a2/orders.jsonl/")) == 1


@pytest.mark.parametrize(("name", "lines"), [("orders.jsonl", [b"a\nb"]), ("x" * 1_000, [b"{}"])])
def test_what_s3_or_a_reader_would_not_take_is_refused(
    client: S3Client, sink: S3FileSink, name: str, lines: list[bytes]
) -> None:
    with pytest.raises(PermanentError):
        sink.append(TENANT, name, lines)
    assert parts(client, "out/customer-a/") == []


def test_files_are_in_s3_where_a_bucket_is_named(client: S3Client) -> None:
    settings = AwsSettings.model_validate({"database_url": "postgresql://h/n", "output_bucket": BUCKET})
    container = aws_container(Exchange("shop"), settings)
    container.s3.override(providers.Object(client))
    container.files().append(TENANT, "orders.jsonl", [b"{}"])
    assert len(parts(client, "customer-a/orders.jsonl/")) == 1
