"""Taking in a request: verify, validate, put it into the function's queue, acknowledge."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic_core import from_json

from api_exchange_core.application.send_message import SendMessage
from api_exchange_core.domain.envelope import MAX_MESSAGE_BYTES
from api_exchange_core.domain.errors import (
    InvalidMessageError,
    InvalidPayloadError,
    PermanentError,
    UnrepresentableError,
)
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.json_value import JsonValue, json_value
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.payload_model import validated
from api_exchange_core.domain.trace_context import TraceContext, trace_context
from api_exchange_core.domain.trigger import HttpTrigger, TenantFromApiKey
from api_exchange_core.ports.tenant_directory import TenantDirectory


class Refusal(StrEnum):
    """Why a request is not taken in; every HTTP trigger maps these to status codes in the same way."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    UNREADABLE = "unreadable"
    INVALID = "invalid"
    TOO_LARGE = "too_large"

    @property
    def status(self) -> int:
        """The HTTP status code (RFC 9110, section 15.5)."""
        return _STATUS[self]


_STATUS = {
    Refusal.UNAUTHENTICATED: 401,
    Refusal.FORBIDDEN: 403,
    Refusal.UNREADABLE: 400,
    Refusal.INVALID: 422,
    Refusal.TOO_LARGE: 413,
}


class RequestRefusedError(PermanentError):
    """The request is not taken in, and nothing was stored."""

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as its trigger hands it over.

    Args:
        headers: names in lower case; of a header that is given twice, both with a comma between (RFC 9110, 5.3).
        query: the parameters; of a parameter that is given twice, the last.
        body: raw bytes.
    """

    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AcceptRequest:
    """Takes in requests on behalf of the tenant that each of them proves."""

    tenants: TenantDirectory
    sender: SendMessage

    def accept(self, function: Function, request: Request) -> Message:
        """Store *request* as a message for *function*.

        The payload is the JSON body, or, of a request without a body, an object of its query parameters.

        Raises:
            RequestRefusedError: it is not taken in; says why.
            TransientError: it may not have been stored; the caller should try again.
        """
        return self.take_in(function, request, tenant_id=self.tenant_of(function, request.headers))

    def take_in(self, function: Function, request: Request, *, tenant_id: TenantId) -> Message:
        """As `accept`, for a request of which `tenant_of` has found out whose it is.

        Raises:
            RequestRefusedError: it is not taken in; says why.
            TransientError: it may not have been stored; the caller should try again.
        """
        payload = _payload(request)
        model = function.processor.payload_model
        try:
            if model is not None:
                validated(model, payload, where="request body")
            return self.sender.send(
                function.input_queue, payload, tenant_id=tenant_id, trace=_trace(request.headers)
            )
        except InvalidPayloadError as error:
            raise RequestRefusedError(Refusal.INVALID, str(error)) from None
        except InvalidMessageError as error:
            raise RequestRefusedError(Refusal.TOO_LARGE, str(error)) from None

    def tenant_of(self, function: Function, headers: Mapping[str, str]) -> TenantId:
        """The tenant that a request proves by its *headers*: known before anybody reads the body.

        Raises:
            RequestRefusedError: it proves none.
            TransientError: nobody could be asked.
        """
        trigger = function.trigger
        if not isinstance(trigger, HttpTrigger):
            raise RequestRefusedError(Refusal.FORBIDDEN, f"function {function.name!r} takes no requests")
        return self._by_api_key(trigger.tenant, headers)

    def _by_api_key(self, source: TenantFromApiKey, headers: Mapping[str, str]) -> TenantId:
        key = headers.get(source.header.lower())
        if key is None:
            raise RequestRefusedError(
                Refusal.UNAUTHENTICATED, f"send the API key in the header {source.header}"
            )
        tenant = self.tenants.by_api_key(api_key_hash(key))
        if tenant is None:
            raise RequestRefusedError(
                Refusal.UNAUTHENTICATED, f"the API key in the header {source.header} is unknown"
            )
        if not tenant.enabled:
            raise RequestRefusedError(Refusal.FORBIDDEN, "the tenant of this API key is disabled")
        return tenant.id


def api_key_hash(key: str) -> str:
    """The SHA-256 by which an API key is known, in hexadecimal.

    Keys are made of 256 random bits, so a fast hash without salt gives nothing to guess from.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _trace(headers: Mapping[str, str]) -> TraceContext | None:
    return trace_context(headers.get("traceparent"), headers.get("tracestate"))


def _payload(request: Request) -> JsonValue:
    if not request.body:
        return dict(request.query)
    if len(request.body) > MAX_MESSAGE_BYTES:
        raise RequestRefusedError(
            Refusal.TOO_LARGE,
            f"the body has {len(request.body):,} bytes, and {MAX_MESSAGE_BYTES:,} is the limit",
        )
    try:
        return json_value(from_json(request.body, allow_inf_nan=False))
    except ValueError as error:
        raise RequestRefusedError(Refusal.UNREADABLE, f"the body is not JSON: {error}") from None
    except UnrepresentableError as error:
        raise RequestRefusedError(Refusal.UNREADABLE, str(error)) from None
