"""Errors of Azure's client libraries as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from azure.core.exceptions import AzureError, HttpResponseError
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusQuotaExceededError,
    ServiceBusServerBusyError,
)

from api_exchange_core.domain.errors import ExchangeError, PermanentError, RetryableError, TransientError

# Status codes of Storage and Key Vault ("Status and error codes", Azure Storage REST reference).
_DENIED: Final = frozenset({401, 403})
_MISSING: Final = 404
_REFUSED: Final = frozenset({400, 405, 411, 413, 414, 415, 416})
_THROTTLED: Final = frozenset({429, 503})
_SECONDS: Final = re.compile(r"[0-9]{1,6}")


@contextmanager
def translated(action: str, resource: str) -> Iterator[None]:
    """Within the block, what Azure says is raised in the domain's words.

    Args:
        action: what is done, such as ``send``.
        resource: what it is done to, in words.

    Raises:
        PermanentError: Azure denies the action, or refuses the request for what it is: somebody has to mend that.
        TransientError: anything else, since a wasted attempt is cheaper than a lost message; with the pause that the
            service asks for, if it asks for one.
    """
    try:
        yield
    except HttpResponseError as error:
        raise _of_response(error, action, resource) from error
    except AzureError as error:
        raise _of_service_bus(error, action, resource) from error


def code_of(error: AzureError) -> str:
    """The service's own code of an error, or the name of its class."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or type(error).__name__)  # some are enumerations


def _of_response(error: HttpResponseError, action: str, resource: str) -> ExchangeError:
    status, code = error.status_code, code_of(error)
    if status in _DENIED:
        return _denied(action, resource, code)
    if status == _MISSING:
        return _missing(action, resource, code)
    if status in _REFUSED:
        return PermanentError(f"Azure refuses {action} on {resource}: {code}")
    why = "Azure throttles it" if status in _THROTTLED else code
    said, pause = f"{action} on {resource} failed: {why}", _asked_pause(error)
    return TransientError(said) if pause is None else RetryableError(said, retry_after=pause)


def _asked_pause(error: HttpResponseError) -> timedelta | None:
    """The pause that the service asks for: whole seconds, in what Azure sends."""
    seconds = getattr(error.response, "headers", {}).get("Retry-After", "")
    return timedelta(seconds=int(seconds)) if _SECONDS.fullmatch(seconds) else None


def _of_service_bus(error: AzureError, action: str, resource: str) -> ExchangeError:
    code = type(error).__name__
    match error:
        case ServiceBusAuthenticationError() | ServiceBusAuthorizationError():
            return _denied(action, resource, code)
        case MessagingEntityNotFoundError():
            return _missing(action, resource, code)
        case MessagingEntityDisabledError():
            return TransientError(f"{action}: {resource} is disabled: enable it in the portal")
        case MessageSizeExceededError():
            return PermanentError(f"{action} on {resource}: Service Bus takes no message of this size")
        case ServiceBusServerBusyError():
            return TransientError(f"{action} on {resource} failed: Azure throttles it")
        case ServiceBusQuotaExceededError():
            return TransientError(f"{action} on {resource} failed: it is full")
        case _:
            return TransientError(f"{action} on {resource} failed: {code}")


def _denied(action: str, resource: str, code: str) -> PermanentError:
    return PermanentError(
        f"Azure denies {action} on {resource} ({code}): give this app's identity, or the policy of its connection "
        "string, the role that it takes"
    )


def _missing(action: str, resource: str, code: str) -> PermanentError:
    return PermanentError(f"{action}: there is no {resource} ({code}): create it, as it was deployed")
