"""Credentials, as tests give them to tenants."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import to_json

from api_exchange_core.application.administer_credentials import KeepCredentials
from api_exchange_core.domain.credentials import system_name
from api_exchange_core.domain.names import TenantId


def give_credentials(
    keep: KeepCredentials, tenant_id: TenantId, system: str, credentials: Mapping[str, object] | bytes
) -> None:
    """Set what the tenant has at *system*: the fields of a model, or bytes as they are."""
    secret = credentials if isinstance(credentials, bytes) else to_json(credentials)
    name = system_name(system)
    keep.set(tenant_id, name, secret, by="a test", on_version=keep.version(tenant_id, name))
