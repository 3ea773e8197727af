"""botocore's errors as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from api_exchange_core.domain.errors import ExchangeError, PermanentError, TransientError

# "Common Error Types" of the AWS API references; KMS's is told by SQS of encrypted queues.
DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "KmsAccessDenied", "KMS.AccessDeniedException", "NotAuthorized"}
)
THROTTLED: Final = frozenset(
    {
        "KmsThrottled",
        "OverLimit",  # SQS: too many messages in flight
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
MISSING_QUEUE: Final = frozenset({"NonExistentQueue", "QueueDoesNotExist"})
_MISSING: Final = MISSING_QUEUE | {"ResourceNotFoundException"}
_TOO_LARGE: Final = re.compile(
    "Item size .*exceeded"
)  # all that DynamoDB says of it, within its general error
_REFUSED: Final = frozenset(
    {
        "InvalidAddress",
        "InvalidMessageContents",
        "InvalidParameterException",
        "InvalidParameterValue",
        "UnsupportedOperation",
        "ValidationException",
    }
)


@contextmanager
def translated(action: str, resource: str) -> Iterator[None]:
    """Within the block, what AWS says is raised in the domain's words.

    Args:
        action: the permission that it takes, such as ``sqs:SendMessage``.
        resource: what it is done to, in words.

    Raises:
        PermanentError: AWS denies the action, or refuses the request for what it is: somebody has to mend that.
        TransientError: anything else, since a wasted attempt is cheaper than a lost message.
    """
    try:
        yield
    except ClientError as error:
        raise _of_client(error, action, resource) from error
    except ParamValidationError as error:  # says which parameter, and what it was
        raise PermanentError(f"{action} on {resource}: the request is malformed") from error
    except BotoCoreError as error:
        raise TransientError(f"{action} on {resource}: {type(error).__name__}: {error}") from error


def code_of(error: ClientError) -> str:
    """The code of an error without the prefix that SQS's older protocol gave it."""
    return str(error.response.get("Error", {}).get("Code", "unknown")).rpartition("AWS.SimpleQueueService.")[
        2
    ]


def _of_client(error: ClientError, action: str, resource: str) -> ExchangeError:
    code = code_of(error)
    if code in DENIED:
        return PermanentError(
            f"AWS denies {action} on {resource} ({code}): allow it in the role of this function, and in the policies "
            "of the resource and of its key, if it has any"
        )
    if code in _MISSING:
        return PermanentError(
            f"{action}: there is no {resource}, or no longer: create it, as it was deployed"
        )
    if code == "ValidationException" and _TOO_LARGE.match(error.response["Error"].get("Message", "")):
        return PermanentError(
            f"{action} on {resource}: an item is larger than 400 KB, the most that it takes"
        )
    if code in _REFUSED:
        return PermanentError(f"AWS refuses {action} on {resource}: {code}")
    why = "AWS throttles it" if code in THROTTLED else code
    return TransientError(f"{action} on {resource} failed: {why}")
