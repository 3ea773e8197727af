"""Names of attributes and metrics.

Those that begin with ``messaging.`` and ``error.`` are OpenTelemetry's (semantic conventions 1.38, "Messaging spans"
and "Messaging metrics"); they are written down here, since the package that has them calls these ones unstable.
"""

from __future__ import annotations

import re
from typing import Final

SYSTEM: Final = "messaging.system"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
MESSAGE_ID: Final = "messaging.message.id"
CONVERSATION_ID: Final = "messaging.message.conversation_id"
BATCH_COUNT: Final = "messaging.batch.message_count"
ERROR_TYPE: Final = "error.type"

FUNCTION: Final = "api_exchange.function"
TENANT: Final = "api_exchange.tenant.id"
OUTCOME: Final = "api_exchange.outcome"
ATTEMPT: Final = "api_exchange.attempt"
FINGERPRINT: Final = "api_exchange.error.fingerprint"
ENTITIES: Final = "api_exchange.entities"
NEW_VERSIONS: Final = "api_exchange.new_versions"
OUTPUTS: Final = "api_exchange.outputs"
EVENT: Final = "api_exchange.event"
API: Final = "api_exchange.api"

PROCESS_DURATION: Final = "messaging.process.duration"
CONSUMED: Final = "messaging.client.consumed.messages"
SENT: Final = "messaging.client.sent.messages"
QUEUE_AGE: Final = "api_exchange.queue.age"
QUEUE_DEPTH: Final = "api_exchange.queue.depth"
QUEUE_OLDEST: Final = "api_exchange.queue.oldest"
OUTBOX_PENDING: Final = "api_exchange.outbox.pending"
OUTBOX_STUCK: Final = "api_exchange.outbox.stuck"
OUTBOX_LAG: Final = "api_exchange.outbox.lag"
QUICK_RETRIES: Final = "api_exchange.quick_retries"
VERSIONS: Final = "api_exchange.entity.versions"
WAIT_FOR_TOKEN: Final = "api_exchange.token.wait"  # noqa: S105 - the name of a metric
EVENTS: Final = "api_exchange.events"

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}")


def error_type(code: str) -> str:
    """What may stand as ``error.type``: few values, and no texts ("error.type", fallback ``_OTHER``)."""
    return code if _CODE.fullmatch(code) else "_OTHER"
