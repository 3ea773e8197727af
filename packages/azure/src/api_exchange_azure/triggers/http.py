"""HTTP functions behind the Functions host."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from api_exchange_core.application.accept_request import UNDER_WAY, AcceptRequest, Challenge
from api_exchange_core.application.call import loggable
from api_exchange_core.application.intake_limits import retry_after
from api_exchange_core.application.request import Request, RequestRefusedError
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.http_path import TENANT_PARAMETER
from api_exchange_core.ports.observer import Observer

if TYPE_CHECKING:
    from azure.functions import HttpRequest, HttpResponse

_JSON: Final = "application/json"
_PROBLEM: Final = "application/problem+json"  # RFC 9457


@dataclass(frozen=True, slots=True)
class HttpTriggers:
    """Takes requests in: 202 with the message's ids once one is stored, a problem document otherwise.

    The answers are those of the local server. What is no path or method of the exchange the host itself answers.

    Args:
        accept: takes requests in.
        observer: hears of those that failed because of an error of ours.
        make_known: makes the exchange's tenants known.
    """

    accept: AcceptRequest
    observer: Observer
    make_known: Callable[[], None]

    def answer(self, function: Function, request: HttpRequest) -> HttpResponse:
        """The answer to a request for *function*."""
        head = Request(
            headers={name.lower(): value for name, value in request.headers.items()},
            query=dict(request.params),
            body=b"",
            tenant=request.route_params.get(TENANT_PARAMETER),
        )
        try:
            self.make_known()
            admission = self.accept.admit(function, head)
            # The host has the body in memory by now: that nobody reads it before is the host's limit, not ours.
            answer = self.accept.take_in(function, replace(head, body=request.get_body()), admission)
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
                {},
            )
        if isinstance(answer, Challenge):
            return _response(HTTPStatus.OK, {"challenge": answer.text}, _JSON, {})
        ids = {"message_id": answer.message_id, "correlation_id": answer.correlation_id}
        return _response(HTTPStatus.ACCEPTED, ids, _JSON, {})


def healthy() -> HttpResponse:
    """The answer of a process that lives."""
    return _response(HTTPStatus.OK, {"status": "ok"}, _JSON, {})


def _problem(status: HTTPStatus, detail: str, headers: Mapping[str, str]) -> HttpResponse:
    content = {"title": status.phrase, "status": status.value, "detail": detail}
    return _response(status, content, _PROBLEM, headers)


def _response(
    status: HTTPStatus, content: Mapping[str, object], media_type: str, headers: Mapping[str, str]
) -> HttpResponse:
    from azure.functions import HttpResponse

    return HttpResponse(
        json.dumps(content), status_code=status.value, mimetype=media_type, headers=dict(headers)
    )
