"""Requests from API Gateway, function URLs and load balancers."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dependency_injector import providers

from api_exchange_aws.secrets import SecretsManagerSecrets
from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    SlackSignature,
    StandardWebhooks,
    TenantFromApiKey,
    TenantFromSignedField,
    TenantFromWebhook,
)
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.application.administer_credentials import KeepCredentials
from api_exchange_core.domain.api_key import api_key_hash
from api_exchange_core.domain.credentials import SystemName
from api_exchange_core.domain.envelope import MAX_MESSAGE_BYTES
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_testing.events import event
from packages.aws.tests.deployment import Deployment, sqlite
from packages.aws.tests.ministack.server import Ministack

KEY = b"a secret of customer-a, for tests"
DOCUMENTS = ["aws/http_api", "aws/function_url", "aws/rest_api", "aws/load_balancer"]


class Take(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


@pytest.fixture
def deployed(ministack: Ministack, tmp_path: Path) -> Iterator[Deployment]:
    exchange = Exchange("shop", tenants=["customer-a"])
    by_path = TenantFromWebhook(StandardWebhooks(), secrets="shop")
    exchange.http("hooks", "/hooks/shop/{tenant}", Take, tenant=by_path)
    by_field = TenantFromSignedField(SlackSignature(), "slack", "/team_id", {"T1": "customer-a"})
    exchange.http("slack", "/slack", Take, tenant=by_field)
    exchange.http("intake", "/orders", Take, tenant=TenantFromApiKey(), methods=["POST", "PUT"])
    exchange.http("look", "/orders", Take, tenant=TenantFromApiKey(), methods=["GET"])
    deployment = Deployment.of(exchange, ministack, sqlite(tmp_path))
    secrets = ministack.client("secretsmanager")
    secrets.create_secret(Name="API_EXCHANGE_KEYS", SecretString=new_entry("first"))
    secrets.create_secret(Name="API_EXCHANGE_WEBHOOK_SLACK", SecretString="slack secret\n")
    deployment.container.secrets.override(providers.Object(SecretsManagerSecrets(secrets)))
    deployment.create_queues("intake", "look", "hooks", "slack")
    tenants = deployment.container.tenants()
    now = deployment.clock.now()
    tenants.add(exchange.tenants, now=now)
    tenants.add_api_key(TenantId("customer-a"), key_hash=api_key_hash("axk_example"), now=now)
    keep = KeepCredentials(
        deployment.container.credentials(), deployment.container.sealer(), tenants, deployment.clock
    )
    secret = b"whsec_" + b64encode(KEY)
    keep.set(TenantId("customer-a"), SystemName("shop"), secret, by="ann", on_version=0)
    yield deployment
    deployment.container.engine().dispose()


def document_of(name: str) -> dict[str, Any]:
    """The event called *name*; JSON of any form."""
    return event(name)


def headers_of(answer: dict[str, Any]) -> dict[str, str]:
    if "multiValueHeaders" in answer:
        return {name: ", ".join(values) for name, values in answer["multiValueHeaders"].items()}
    headers: dict[str, str] = answer["headers"]
    return headers


def without_key(document: dict[str, Any]) -> dict[str, Any]:
    for kind in ("headers", "multiValueHeaders"):
        for name in [name for name in document.get(kind, {}) if name.lower() == "x-api-key"]:
            del document[kind][name]
    return document


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_request_becomes_a_message_of_the_tenant_that_it_proves(
    deployed: Deployment, document: str
) -> None:
    answer = deployed.invoke(document_of(document))
    assert (answer["statusCode"], headers_of(answer)["Content-Type"]) == (202, "application/json")
    [message] = deployed.messages("intake")
    assert json.loads(answer["body"]) == {
        "message_id": message.id,
        "correlation_id": message.correlation_id,
    }
    assert (message.tenant_id, message.payload) == ("customer-a", {"id": "o-1"})


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_request_without_a_key_is_refused_with_a_problem_document(
    deployed: Deployment, document: str
) -> None:
    answer = deployed.invoke(without_key(document_of(document)))
    assert answer["statusCode"] == 401
    assert headers_of(answer)["Content-Type"] == "application/problem+json"
    assert headers_of(answer)["WWW-Authenticate"] == "ApiKey"
    problem = json.loads(answer["body"])
    assert (problem["title"], problem["status"]) == ("Unauthorized", 401)
    assert deployed.depths() == {}


@pytest.mark.parametrize(
    ("document", "lot"),
    [
        ("aws/http_api", "7"),
        ("aws/function_url", "7"),
        ("aws/rest_api", "7"),
        ("aws/load_balancer", "7,8"),
    ],
)
def test_a_request_without_body_hands_over_its_query_the_last_of_each_decoded_once(
    deployed: Deployment, document: str, lot: str
) -> None:
    request = document_of(document) | {"body": None, "isBase64Encoded": False, "httpMethod": "GET"}
    if "http" in (context := request["requestContext"]):
        context["http"]["method"] = "GET"
    assert deployed.invoke(request)["statusCode"] == 202
    [message] = deployed.messages("look")
    assert message.payload == {"dry": "1", "lot": lot}


def test_a_load_balancer_is_answered_in_its_own_form(deployed: Deployment) -> None:
    document = document_of("aws/load_balancer")
    answer = deployed.invoke(document)
    assert (answer["statusDescription"], answer["isBase64Encoded"]) == ("202 Accepted", False)
    assert "headers" not in answer
    single = {name: values[-1] for name, values in document.pop("multiValueHeaders").items()}
    answer = deployed.invoke(document | {"headers": single})
    assert answer["statusCode"] == 202
    assert "multiValueHeaders" not in answer


def test_the_stage_is_no_part_of_the_path(deployed: Deployment) -> None:
    document = document_of("aws/http_api") | {"rawPath": "/prod/orders"}
    document["requestContext"]["stage"] = "prod"
    assert deployed.invoke(document)["statusCode"] == 202


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_is_not_served_is_not_found_and_other_methods_are_told_which_are_allowed(
    deployed: Deployment, document: str
) -> None:
    request = document_of(document)
    elsewhere = deployed.invoke(request | {"rawPath": "/other", "path": "/other"})
    assert (elsewhere["statusCode"], json.loads(elsewhere["body"])["title"]) == (404, "Not Found")
    if "http" in request["requestContext"]:
        request["requestContext"]["http"]["method"] = "DELETE"
    answer = deployed.invoke(request | {"httpMethod": "DELETE"})
    assert (answer["statusCode"], headers_of(answer)["Allow"]) == (405, "GET, POST, PUT")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b64encode(b"{not json").decode(), 400),
        ("%%%", 400),
        (b64encode(b'"%b"' % (b"x" * MAX_MESSAGE_BYTES)).decode(), 413),
    ],
    ids=["no JSON", "no Base64", "too large"],
)
def test_a_body_that_cannot_be_taken_in_is_refused(deployed: Deployment, body: str, status: int) -> None:
    answer = deployed.invoke(document_of("aws/http_api") | {"body": body})
    assert (answer["statusCode"], deployed.depths()) == (status, {})


def test_bytes_come_through_base64_as_they_were(deployed: Deployment) -> None:
    body = '{"name":"Grüße, 日本語"}'.encode()
    deployed.invoke(document_of("aws/http_api") | {"body": b64encode(body).decode()})
    deployed.invoke(document_of("aws/http_api") | {"body": body.decode(), "isBase64Encoded": False})
    assert [message.payload for message in deployed.messages("intake")] == [{"name": "Grüße, 日本語"}] * 2


def test_a_header_that_came_twice_proves_nothing(deployed: Deployment) -> None:
    document = document_of("aws/rest_api")
    document["multiValueHeaders"]["X-API-Key"] = ["axk_example", "other"]
    assert deployed.invoke(document)["statusCode"] == 401


def webhook(
    deployed: Deployment, document: str, path: str, body: bytes, *, key: bytes = KEY
) -> dict[str, Any]:
    """A request that a sender of Standard Webhooks has signed."""
    seconds = str(int(deployed.clock.now().timestamp()))
    digest = hmac.new(key, f"msg_1.{seconds}.".encode() + body, "sha256").digest()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }
    request = document_of(document)
    request.pop("multiValueHeaders", None)
    content = {"body": b64encode(body).decode(), "isBase64Encoded": True, "headers": headers}
    return request | content | {"path": path, "rawPath": path}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_tenant_in_the_path_is_whose_signature_is_asked_for(deployed: Deployment, document: str) -> None:
    body = b'{ "id": "o-1", "id": 1.0 }'
    request = webhook(deployed, document, "/hooks/shop/customer-a", body)
    answer = deployed.invoke(request)
    again = deployed.invoke(request)
    assert (answer["statusCode"], again["statusCode"], again["body"]) == (202, 202, answer["body"])
    [message] = deployed.messages("hooks")
    assert (message.tenant_id, message.id) == ("customer-a", json.loads(answer["body"])["message_id"])


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/hooks/shop/customer-a", b"of somebody else", 401),
        ("/hooks/shop/customer-b", KEY, 401),
        ("/hooks/shop/customer%2Da", KEY, 202),
        ("/hooks/shop/", KEY, 404),
        ("/hooks/shop/customer-a/more", KEY, 404),
        ("/hooks/other/customer-a", KEY, 404),
    ],
)
def test_a_path_with_a_tenant_is_served_for_who_has_signed_it_only(
    deployed: Deployment, path: str, key: bytes, status: int
) -> None:
    answer = deployed.invoke(webhook(deployed, "aws/function_url", path, b"{}", key=key))
    assert answer["statusCode"] == status
    assert (headers_of(answer).get("WWW-Authenticate") == "Signature") == (status == 401)


def test_a_sender_that_asks_whether_anybody_is_there_is_answered(deployed: Deployment) -> None:
    body = b'{"type": "url_verification", "challenge": "3eZbrw1aB"}'
    seconds = str(int(deployed.clock.now().timestamp()))
    digest = hmac.new(b"slack secret", b"v0:" + seconds.encode() + b":" + body, "sha256").hexdigest()
    headers = {"x-slack-request-timestamp": seconds, "x-slack-signature": f"v0={digest}"}
    request = document_of("aws/http_api") | {"headers": headers, "rawPath": "/slack"}
    answer = deployed.invoke(request | {"body": body.decode(), "isBase64Encoded": False})
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"challenge": "3eZbrw1aB"})
    assert deployed.depths().get(QueueName("slack"), 0) == 0


def test_a_request_with_an_idempotency_key_is_taken_in_once(deployed: Deployment) -> None:
    request = document_of("aws/http_api")
    request["headers"]["idempotency-key"] = '"order-1"'
    first, again = deployed.invoke(request), deployed.invoke(request)
    assert (again["statusCode"], again["body"]) == (202, first["body"])
    assert {message.id for message in deployed.messages("intake")} == {
        json.loads(first["body"])["message_id"]
    }
    other = deployed.invoke(request | {"body": b64encode(b'{"id": "o-2"}').decode()})
    assert other["statusCode"] == 422


def test_health_is_answered_without_a_store(deployed: Deployment) -> None:
    request = document_of("aws/load_balancer") | {"path": "/healthz", "httpMethod": "GET", "body": ""}
    answer = deployed.invoke(request)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"status": "ok"})


def test_a_store_out_of_reach_is_answered_with_try_again(deployed: Deployment, tmp_path: Path) -> None:
    deployed.container.engine().dispose()
    (tmp_path / "exchange.db").write_bytes(b"no database any more")
    answer = deployed.invoke(document_of("aws/http_api"))
    assert (answer["statusCode"], headers_of(answer)["Retry-After"]) == (503, "10")
    assert [one.name for one in deployed.observer.events] == ["http.unavailable"]


def test_a_queue_that_is_not_there_is_an_error_of_ours_and_told(deployed: Deployment) -> None:
    url = deployed.client.get_queue_url(QueueName="shop-intake")["QueueUrl"]
    deployed.client.delete_queue(QueueUrl=url)
    answer = deployed.invoke(document_of("aws/http_api"))
    assert answer["statusCode"] == 500
    [told] = deployed.observer.events
    assert told.name == "http.error"
    assert "aws sqs create-queue --queue-name shop-intake" in str(told.facts["reason"])
    assert "create-queue" not in answer["body"]
