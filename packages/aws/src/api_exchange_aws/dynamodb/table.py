"""The table of tokens, as whoever deploys has to make it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api_exchange_aws.dynamodb.token_items import PARTITION, SORT, TIME_TO_LIVE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def create_token_table(client: DynamoDBClient, name: str) -> None:
    """Make the table, which is charged by request, and have what nobody needs any more removed by its age.

    A template says the same in its own words; this is for tests and for trying things out.
    """
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in (PARTITION, SORT)],
        KeySchema=[
            {"AttributeName": PARTITION, "KeyType": "HASH"},
            {"AttributeName": SORT, "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    client.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": TIME_TO_LIVE}
    )
