"""What Azure's client libraries raise, in the words of the domain."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusConnectionError,
    ServiceBusServerBusyError,
)

from api_exchange_azure.errors import translated
from api_exchange_core.domain.errors import ExchangeError, PermanentError, TransientError


def _response(status: int) -> HttpResponseError:
    return HttpResponseError(
        "secret=hunter2Zq81",
        response=SimpleNamespace(status_code=status, reason="reason", headers={}, text=lambda: ""),
    )


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (_response(403), PermanentError, "Azure denies send on queue 'orders'"),
        (_response(404), PermanentError, "there is no queue 'orders'"),
        (_response(413), PermanentError, "Azure refuses"),
        (_response(429), TransientError, "throttles"),
        (_response(503), TransientError, "throttles"),
        (_response(500), TransientError, "failed"),
        (_response(418), TransientError, "failed"),
        (ServiceRequestError("no route"), TransientError, "ServiceRequestError"),
        (ServiceBusAuthenticationError(message="hunter2Zq81"), PermanentError, "denies"),
        (MessagingEntityNotFoundError(message="hunter2Zq81"), PermanentError, "there is no queue 'orders'"),
        (MessageSizeExceededError(message="hunter2Zq81"), PermanentError, "size"),
        (ServiceBusServerBusyError(message="hunter2Zq81"), TransientError, "throttles"),
        (ServiceBusConnectionError(message="hunter2Zq81"), TransientError, "ServiceBusConnectionError"),
    ],
)
def test_an_error_says_whether_to_try_again_and_tells_no_secret(
    error: AzureError, kind: type[ExchangeError], says: str
) -> None:
    with pytest.raises(kind, match=re.escape(says)) as raised, translated("send", "queue 'orders'"):
        raise error
    assert raised.value.__cause__ is error
    assert "hunter2Zq81" not in str(raised.value)


def test_an_error_of_ours_passes_through() -> None:
    with pytest.raises(PermanentError, match=r"^ours$"), translated("send", "queue 'orders'"):
        raise PermanentError("ours")
