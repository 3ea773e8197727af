"""HTTP functions behind API Gateway, a function URL or a load balancer."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from api_exchange_aws.triggers.http_events import Answer, HttpEvent
from api_exchange_core.application.accept_request import AcceptRequest, Refusal, RequestRefusedError
from api_exchange_core.application.call import loggable
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.exchange import Exchange, Function
from api_exchange_core.domain.trigger import HEALTH_PATH, HttpTrigger
from api_exchange_core.ports.observer import Observer

_RETRY_SECONDS: Final = 5
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
        function = served.get(event.method)
        if function is None:
            allowed = {"Allow": ", ".join(sorted(served))}
            return _problem(HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.METHOD_NOT_ALLOWED.phrase, allowed)
        return self._taken_in(function, event)

    def _served(self, path: str) -> dict[str, Function]:
        """The functions at *path* by method."""
        return {
            method: function
            for function in self.exchange.functions
            if isinstance(function.trigger, HttpTrigger) and function.trigger.path == path
            for method in function.trigger.methods
        }

    def _taken_in(self, function: Function, event: HttpEvent) -> Answer:
        try:
            message = self.accept.accept(function, event.read())
        except RequestRefusedError as error:
            headers = {"WWW-Authenticate": "ApiKey"} if error.refusal is Refusal.UNAUTHENTICATED else {}
            return _problem(HTTPStatus(error.refusal.status), str(error), headers)
        except TransientError as error:
            self.observer.event("http.unavailable", function=function.name, **loggable(error))
            return _problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the request could not be stored; try again",
                {"Retry-After": str(_RETRY_SECONDS)},
            )
        except Exception as error:  # noqa: BLE001 - the last frame we own: the caller is owed an answer
            self.observer.event("http.error", function=function.name, **loggable(error))
            return _problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "the request could not be taken in because of an error of ours; it was not stored",
            )
        ids = {"message_id": message.id, "correlation_id": message.correlation_id}
        return Answer(HTTPStatus.ACCEPTED, ids)


def _problem(status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> Answer:
    content = {"title": status.phrase, "status": status.value, "detail": detail}
    return Answer(status, content, _PROBLEM, {} if headers is None else headers)
