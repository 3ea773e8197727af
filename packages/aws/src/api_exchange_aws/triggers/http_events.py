"""Requests as API Gateway, function URLs and load balancers hand them over, and answers as they take them.

Shapes: "Working with AWS Lambda proxy integrations for HTTP APIs" (payload formats 1.0 and 2.0) and "Lambda proxy
integrations in API Gateway" (REST APIs) of the API Gateway guide; "Lambda function URLs" of the Lambda guide; "Lambda
functions as targets" of the guide of Application Load Balancers.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

from api_exchange_core.application.request import Refusal, Request, RequestRefusedError

_DEFAULT_STAGE: Final = "$default"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response.

    Args:
        status: the code.
        content: of the body, which is JSON.
        content_type: of the body.
        headers: others than its type.
    """

    status: HTTPStatus
    content: Mapping[str, object]
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpEvent:
    """A request, and how whoever hands it over wants its answer.

    Args:
        method: in capitals.
        path: below the stage.
        read: makes the request; raises `RequestRefusedError` if its body is not what the event says.
        rendered: makes the answer.
    """

    method: str
    path: str
    read: Callable[[], Request]
    rendered: Callable[[Answer], dict[str, object]]


def http_event(event: Mapping[str, Any]) -> HttpEvent | None:
    """The request that *event* is; None if it is none."""
    context = event.get("requestContext")
    if not isinstance(context, dict):
        return None
    if event.get("version") == "2.0" and "http" in context:
        return _version_2(event, context)
    if "elb" in context:
        return _load_balancer(event)
    if "httpMethod" in event and "path" in event:
        return _version_1(event)
    return None


def _version_2(event: Mapping[str, Any], context: Mapping[str, Any]) -> HttpEvent:
    """HTTP APIs and function URLs. Values of a header that came twice are joined already."""
    stage = context.get("stage", _DEFAULT_STAGE)
    path = event["rawPath"]
    if stage != _DEFAULT_STAGE:
        path = path.removeprefix(f"/{stage}") or "/"

    def read() -> Request:
        query = dict(parse_qsl(event.get("rawQueryString", ""), keep_blank_values=True))
        return Request(headers=_headers(event), query=query, body=_body(event))

    return HttpEvent(context["http"]["method"], path, read, _rendered)


def _version_1(event: Mapping[str, Any]) -> HttpEvent:
    """REST APIs, and HTTP APIs that ask for the older format."""

    def read() -> Request:
        return Request(
            headers=_headers(event), query=_query(event, decoded=lambda text: text), body=_body(event)
        )

    return HttpEvent(event["httpMethod"], event["path"], read, _rendered)


def _load_balancer(event: Mapping[str, Any]) -> HttpEvent:
    """Load balancers hand over query parameters as they are in the URL, and want several values if they give them."""

    def read() -> Request:
        return Request(headers=_headers(event), query=_query(event, decoded=unquote_plus), body=_body(event))

    def rendered(answer: Answer) -> dict[str, object]:
        response = _rendered(answer)
        response["statusDescription"] = f"{answer.status.value} {answer.status.phrase}"
        if "multiValueHeaders" in event:
            response["multiValueHeaders"] = {name: [value] for name, value in _answer_headers(answer).items()}
            del response["headers"]
        return response

    return HttpEvent(event["httpMethod"], event["path"], read, rendered)


def _headers(event: Mapping[str, Any]) -> dict[str, str]:
    several = {name.lower(): ", ".join(values) for name, values in _given(event, "multiValueHeaders")}
    return several or {name.lower(): value for name, value in _given(event, "headers")}


def _query(event: Mapping[str, Any], *, decoded: Callable[[str], str]) -> dict[str, str]:
    several = {name: values[-1] for name, values in _given(event, "multiValueQueryStringParameters")}
    given = several or dict(_given(event, "queryStringParameters"))
    return {decoded(name): decoded(value) for name, value in given.items()}


def _given(event: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    """The items of an object that is null where there are none."""
    return list((event.get(name) or {}).items())


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body")
    if body is None:
        return b""
    if not event.get("isBase64Encoded"):
        return str(body).encode()
    try:
        return b64decode(body, validate=True)
    except binascii.Error:
        raise RequestRefusedError(
            Refusal.UNREADABLE, "the body is not the Base64 that it is said to be"
        ) from None


def _answer_headers(answer: Answer) -> dict[str, str]:
    return {"Content-Type": answer.content_type, **answer.headers}


def _rendered(answer: Answer) -> dict[str, object]:
    return {
        "statusCode": answer.status.value,
        "headers": _answer_headers(answer),
        "body": json.dumps(answer.content),
        "isBase64Encoded": False,
    }
