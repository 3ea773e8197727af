"""HTTP functions behind API Gateway, a function URL or a load balancer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from api_exchange_aws.triggers.http_events import Answer, HttpEvent
from api_exchange_core.application.accept_request import UNDER_WAY, AcceptRequest, Challenge
from api_exchange_core.application.call import loggable
from api_exchange_core.application.intake_limits import retry_after
from api_exchange_core.application.request import Request, RequestRefusedError
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.exchange import Exchange, Function
from api_exchange_core.domain.http_path import TENANT_PARAMETER, HttpPath
from api_exchange_core.domain.trigger import HEALTH_PATH, HttpTrigger
from api_exchange_core.ports.observer import Observer

_PROBLEM: Final = "application/problem+json"  # RFC 9457


@dataclass(frozen=True, slots=True)
class HttpTriggers:
    """Takes requests in: 202 with the message's ids once one is stored, a problem document otherwise.

    The answers are those of the local server. Besides, ``/healthz`` is answered, which a load balancer asks for.
    """

    exchange: Exchange
    accept: AcceptRequest
    observer: Observer

    def answer(self, event: HttpEvent) -> dict[str, object]:
        """The answer to a request, as whoever hands it over wants it."""
        return event.rendered(self._answer(event))

    def _answer(self, event: HttpEvent) -> Answer:
        if event.path == HEALTH_PATH and event.method == "GET":
            return Answer(HTTPStatus.OK, {"status": "ok"})
        served = self._served(event.path)
        if not served:
            return _problem(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_FOUND.phrase)
        found = served.get(event.method)
        if found is None:
            allowed = {"Allow": ", ".join(sorted(served))}
            return _problem(HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.METHOD_NOT_ALLOWED.phrase, allowed)
        return self._taken_in(found, event)

    def _served(self, path: str) -> dict[str, _Found]:
        """What there is at *path*, by method."""
        return {
            method: _Found(function, parameters.get(TENANT_PARAMETER))
            for function in self.exchange.functions
            if isinstance(function.trigger, HttpTrigger)
            and (parameters := _parameters(HttpPath(function.trigger.path), path)) is not None
            for method in function.trigger.methods
        }

    def _taken_in(self, found: _Found, event: HttpEvent) -> Answer:
        function = found.function
        try:
            return self._stored(function, replace(event.read(), tenant=found.tenant))
        except RequestRefusedError as error:
            return _problem(HTTPStatus(error.refusal.status), str(error), error.headers)
        except TransientError as error:
            self.observer.event("http.unavailable", function=function.name, **loggable(error))
            return _problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the request could not be stored; try again",
                retry_after(UNDER_WAY),
            )
        except Exception as error:  # noqa: BLE001 - the last frame we own: the caller is owed an answer
            self.observer.event("http.error", function=function.name, **loggable(error))
            return _problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "the request could not be taken in because of an error of ours; it was not stored",
            )

    def _stored(self, function: Function, request: Request) -> Answer:
        answer = self.accept.accept(function, request)
        if isinstance(answer, Challenge):
            return Answer(HTTPStatus.OK, {"challenge": answer.text})
        ids = {"message_id": answer.message_id, "correlation_id": answer.correlation_id}
        return Answer(HTTPStatus.ACCEPTED, ids)


@dataclass(frozen=True, slots=True)
class _Found:
    """A function at the path of a request, and the tenant that the path names."""

    function: Function
    tenant: str | None


def _parameters(served: HttpPath, path: str) -> Mapping[str, str] | None:
    """What *path* has in place of the parameters of *served*; None if it is another path."""
    wanted, given = served.segments, path.removeprefix("/").split("/") if path != "/" else []
    if len(wanted) != len(given):
        return None
    parameters: dict[str, str] = {}
    for mine, its in zip(wanted, given, strict=True):
        if mine == f"{{{TENANT_PARAMETER}}}" and its:
            parameters[TENANT_PARAMETER] = unquote(its)
        elif mine != its:
            return None
    return parameters


def _problem(status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> Answer:
    content = {"title": status.phrase, "status": status.value, "detail": detail}
    return Answer(status, content, _PROBLEM, {} if headers is None else headers)
