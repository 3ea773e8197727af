"""A table of tokens in a stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api_exchange_aws.dynamodb.table import create_token_table
from api_exchange_aws.dynamodb.token_items import TIME_TO_LIVE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def lasting_token_table(client: DynamoDBClient, name: str) -> None:
    """Make a table of tokens that nothing is removed from by its age.

    A stand-in tells ages by the time of the machine, each minute. To it the tokens of a test whose clock shows another
    time may be as old as can be.
    """
    create_token_table(client, name)
    client.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": False, "AttributeName": TIME_TO_LIVE}
    )
