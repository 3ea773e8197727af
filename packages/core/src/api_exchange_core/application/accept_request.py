"""Taking in a request: verify, validate, put it into the function's queue, acknowledge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from api_exchange_core.application.intake_limits import IntakeLimits, retry_after
from api_exchange_core.application.prove_tenant import ProveTenant
from api_exchange_core.application.request import Refusal, Request, RequestRefusedError
from api_exchange_core.application.request_payload import check_readable, payload_of
from api_exchange_core.application.send_message import SendMessage
from api_exchange_core.domain.errors import InvalidMessageError, InvalidPayloadError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.idempotency import IDEMPOTENCY_KEY, RequestKey, idempotency_key
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_core.domain.payload_model import validated
from api_exchange_core.domain.signatures.proof import Presented
from api_exchange_core.domain.tenant_source import SignedSource, TenantFromApiKey
from api_exchange_core.domain.trace_context import trace_context
from api_exchange_core.domain.trigger import HttpTrigger
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.request_log import RequestLog, Standing

UNDER_WAY: Final = timedelta(seconds=10)
"""How long one that takes in a request is given; whoever sends it again meanwhile is told to wait."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request is stored: now, or when it came before.

    Args:
        message_id: of the message that it became.
        correlation_id: of everything that comes of it.
    """

    message_id: MessageId
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """A sender asked whether anybody is there, and is to be answered with *text*; nothing is stored."""

    text: str


Answer = Accepted | Challenge


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that is to prove a body."""

    source: SignedSource
    presented: Presented


@dataclass(frozen=True, slots=True)
class Admission:
    """What the head of a request has shown, before anybody reads its body.

    Args:
        trigger: of the function that it is for.
        proven: whose it is, or what is to prove it.
        key: the client's idempotency key.
    """

    trigger: HttpTrigger
    proven: TenantId | Signed
    key: str | None = None


@dataclass(frozen=True, slots=True)
class AcceptRequest:
    """Takes in requests on behalf of the tenant that each of them proves.

    A request that carries an idempotency key, or a sender's signed delivery id, is taken in once however often it
    comes. Its message id follows from that: one that breaks off anywhere is taken in by the next try, and should both
    reach the queue, the journal absorbs the second.
    """

    prove: ProveTenant
    sender: SendMessage
    requests: RequestLog
    limits: IntakeLimits
    clock: Clock

    def accept(self, function: Function, request: Request) -> Answer:
        """Store *request* as a message for *function*.

        Raises:
            RequestRefusedError: it is not taken in; says why.
            TransientError: it may not have been stored; the caller should try again.
        """
        return self.take_in(function, request, self.admit(function, request))

    def admit(self, function: Function, request: Request) -> Admission:
        """Look at the head of *request*, whose body has not been read: what a stranger sends is not worth its memory.

        Raises:
            RequestRefusedError: no body could make it right.
            TransientError: nobody could be asked.
        """
        trigger = function.trigger
        if not isinstance(trigger, HttpTrigger):
            raise RequestRefusedError(Refusal.FORBIDDEN, f"function {function.name!r} takes no requests")
        if isinstance(trigger.tenant, TenantFromApiKey):
            tenant_id = self.prove.by_api_key(trigger.tenant, request.headers)
            check_readable(request.headers)
            return Admission(trigger, tenant_id, _client_key(request.headers))
        presented = self.prove.presented(function.name, trigger.tenant, request)
        check_readable(request.headers)
        # Without idempotency key: that is not signed, and who replays a request could give it another one.
        return Admission(trigger, Signed(trigger.tenant, presented))

    def take_in(self, function: Function, request: Request, admission: Admission) -> Answer:
        """Store *request*, which was admitted, with its body as a message for *function*.

        Raises:
            RequestRefusedError: it is not taken in; says why.
            TransientError: it may not have been stored; the caller should try again.
        """
        if len(request.body) > admission.trigger.max_body:
            raise too_large(admission.trigger)
        if isinstance(admission.proven, Signed):
            return self._take_in_signed(function, request, admission.trigger, admission.proven)
        payload = payload_of(request, only_body=False)
        tenant_id, key = admission.proven, None
        if admission.key is not None:
            key = RequestKey.of_client(
                tenant_id, function.name, admission.key, query=request.query, body=request.body
            )
        work = _Intake(function, request, payload, tenant_id, key)
        return self._store(work, admission.trigger)

    def _take_in_signed(
        self, function: Function, request: Request, trigger: HttpTrigger, signed: Signed
    ) -> Answer:
        source, presented = signed.source, signed.presented
        own = self.prove.by_signature(function.name, source, request, presented)
        payload = payload_of(request, only_body=True)
        challenge = source.scheme.challenge(payload)
        if challenge is not None:
            return Challenge(challenge)
        tenant_id = self.prove.in_payload(source, payload) if own is None else own
        delivery_id = source.scheme.delivery_id(presented, payload, request.body)
        key = None if delivery_id is None else RequestKey.of_delivery(tenant_id, function.name, delivery_id)
        return self._store(_Intake(function, request, payload, tenant_id, key), trigger)

    def _store(self, intake: _Intake, trigger: HttpTrigger) -> Accepted:
        if trigger.limit is not None:
            self.limits.take(trigger.limit, function=intake.function.name, tenant_id=intake.tenant_id)
        try:
            intake.check_fits()
            if intake.key is None:
                return self._send(intake, None)
            return self._send_once(intake, intake.key)
        except InvalidPayloadError as error:
            raise RequestRefusedError(Refusal.INVALID, str(error)) from None
        except InvalidMessageError as error:
            raise RequestRefusedError(Refusal.TOO_LARGE, str(error)) from None

    def _send_once(self, intake: _Intake, key: RequestKey) -> Accepted:
        now = self.clock.now()
        standing = self.requests.reserve(key, now=now, until=now + UNDER_WAY)
        match standing:
            case Standing.TAKEN_IN:
                return Accepted(key.message_id, key.message_id)
            case Standing.UNDER_WAY:
                raise RequestRefusedError(
                    Refusal.UNDER_WAY, "the same request is just being taken in", retry_after(UNDER_WAY)
                )
            case Standing.OTHER:
                raise RequestRefusedError(
                    Refusal.INVALID, f"the {IDEMPOTENCY_KEY} belongs to a request with another body or query"
                )
            case Standing.OURS:
                accepted = self._send(intake, key.message_id)
                self.requests.complete(key)
                return accepted

    def _send(self, intake: _Intake, message_id: MessageId | None) -> Accepted:
        headers = intake.request.headers
        message = self.sender.send(
            intake.function.input_queue,
            intake.payload,
            tenant_id=intake.tenant_id,
            trace=trace_context(headers.get("traceparent"), headers.get("tracestate")),
            message_id=message_id,
        )
        return Accepted(message.id, message.correlation_id)


@dataclass(frozen=True, slots=True)
class _Intake:
    """A request whose tenant is proven, and by what it is known when it comes again."""

    function: Function
    request: Request
    payload: JsonValue
    tenant_id: TenantId
    key: RequestKey | None

    def check_fits(self) -> None:
        model = self.function.processor.payload_model
        if model is not None:
            validated(model, self.payload, where="request body")


def too_large(trigger: HttpTrigger) -> RequestRefusedError:
    """The refusal of a body that is larger than *trigger* takes."""
    return RequestRefusedError(
        Refusal.TOO_LARGE, f"the body is larger than the limit of {trigger.max_body:,} bytes"
    )


def _client_key(headers: Mapping[str, str]) -> str | None:
    value = headers.get(IDEMPOTENCY_KEY.lower())
    if value is None:
        return None
    try:
        return idempotency_key(value)
    except ValueError as error:
        raise RequestRefusedError(Refusal.UNREADABLE, str(error)) from None
