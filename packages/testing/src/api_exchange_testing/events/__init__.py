"""Event documents as triggers of clouds and senders of webhooks hand them over, for tests of what reads them.

Their shapes follow the platforms' documentation: "Using Lambda with Amazon SQS", "Invoking Lambda with EventBridge
Scheduler" and "HTTP API payload format version 2.0" (AWS Lambda and API Gateway developer guides); "Lambda proxy
integrations in API Gateway", "Lambda function URLs", "Lambda functions as targets" of load balancers, and "Creating an
Amazon EventBridge rule that runs on a schedule"; "Azure Functions custom handlers", request payload (Azure Functions
developer guide). Ids, hosts and addresses are made up, or kept for documentation (RFC 5737).

The webhooks are signed requests, with the secret and the time at which they are good, as their senders or others have
published them: Standard Webhooks' reference libraries; "Validating webhook deliveries" (docs.github.com); the tests of
async-stripe; SQLPage's documentation of `sqlpage.hmac`, for Shopify; "Verifying requests from Slack" (docs.slack.dev).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import cast


def event(name: str) -> dict[str, object]:
    """The event document called *name*, such as ``aws/sqs``; a new copy each time.

    Raises:
        LookupError: there is none; says which there are.
    """
    if name not in names():
        raise LookupError(f"there is no event {name!r}: there are {', '.join(names())}")
    text = files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8")
    return cast("dict[str, object]", json.loads(text))


def names() -> Sequence[str]:
    """The names of all event documents."""
    return sorted(
        f"{cloud.name}/{document.name.removesuffix('.json')}"
        for cloud in files(__name__).iterdir()
        if cloud.is_dir()
        for document in cloud.iterdir()
        if document.name.endswith(".json")
    )
