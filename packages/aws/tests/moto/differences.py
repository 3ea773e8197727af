"""What moto does otherwise than AWS: tests of the suites that it fails, and must fail for as long as it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_STALE_RECEIPTS: Final = (
    "a receipt goes on being good after the message was handed out again; SQS says that it may be refused then, and "
    "that a request with it can succeed without an effect"
)

DIFFERENCES: Final[Mapping[str, str]] = {
    "test_a_key_that_is_disabled_is_told": "it decrypts with keys that are disabled; KMS says DisabledException",
    "test_a_receipt_is_worthless_once_the_message_was_delivered_again": _STALE_RECEIPTS,
    "test_who_extends_what_is_not_theirs_any_more_is_told_and_changes_nothing": _STALE_RECEIPTS,
}
"""Why, by the name of the test."""
