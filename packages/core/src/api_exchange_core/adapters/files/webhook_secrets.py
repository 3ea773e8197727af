"""Secrets of webhooks in a file, such as an orchestrator mounts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from typing_extensions import override

from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.webhook_secrets import WebhookSecrets

_FILE = TypeAdapter(dict[str, dict[str, list[str]] | list[str]])


@dataclass(frozen=True, slots=True)
class FileWebhookSecrets(WebhookSecrets):
    """A JSON object, by system, of the secrets of each tenant, or a list of those that all tenants share.

    ``{"shop": {"customer-a": ["whsec_new", "whsec_old"]}, "stripe": ["whsec_of_all"]}``. It is read anew each time, so
    that secrets rotate without a restart.

    Args:
        path: of the file; None if there is none, and so no secret.
    """

    path: Path | None

    @override
    def secrets_of(self, tenant_id: TenantId | None, *, system: str) -> Sequence[bytes]:
        known = {} if self.path is None else _read(self.path)
        of_system = known.get(system, {})
        if isinstance(of_system, list):
            found = of_system if tenant_id is None else []
        else:
            found = [] if tenant_id is None else of_system.get(tenant_id, [])
        return [secret.encode() for secret in found]


def _read(path: Path) -> dict[str, dict[str, list[str]] | list[str]]:
    try:
        return _FILE.validate_json(path.read_bytes())
    except OSError as error:
        raise TransientError(
            f"the webhook secrets in {str(path)!r} cannot be read: {error.strerror}"
        ) from error
    except ValidationError:
        # Its text would quote what stands there.
        raise TransientError(
            f"the webhook secrets in {str(path)!r} are not as they have to be: "
            '{"system": {"tenant": ["secret"]}, "another system": ["secret of all tenants"]}'
        ) from None
