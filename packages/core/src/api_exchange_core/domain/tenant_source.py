"""How an HTTP function knows its tenant: from something verified, never from a bare header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.json_pointer import pointer_steps, text_at
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import TenantId, tenant_id
from api_exchange_core.domain.signatures.scheme import SignatureScheme

_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_SYSTEM: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class TenantFromApiKey:
    """The tenant is the one whose API key the request carries.

    Args:
        header: name of the header that carries it.
    """

    header: str = "X-API-Key"

    def __post_init__(self) -> None:
        if not _HEADER.fullmatch(self.header):
            raise DeclarationError(f"{self.header!r} is no header name: use letters, digits and hyphens")

    @property
    def proof(self) -> str:
        """What proves the tenant, in words."""
        return f"API key in {self.header}"


@dataclass(frozen=True, slots=True)
class TenantFromWebhook:
    """The path names the tenant, as ``{tenant}``, and a signature with that tenant's own secret proves it.

    Args:
        scheme: how the sender signs.
        secrets: the system whose secrets of the tenant are asked for: letters, digits and hyphens.
    """

    scheme: SignatureScheme
    secrets: str

    def __post_init__(self) -> None:
        _check(self.scheme, self.secrets)

    @property
    def proof(self) -> str:
        """What proves the tenant, in words."""
        return f"{self.scheme.name} signature with the tenant's secret of {self.secrets}"


@dataclass(frozen=True, slots=True)
class TenantFromSignedField:
    """One secret of the application signs for all tenants, and a field of the signed payload says which one it is.

    Args:
        scheme: how the sender signs.
        secrets: the system whose secrets are asked for, those of no tenant.
        pointer: JSON pointer (RFC 6901) to what the sender calls its customer by: a text or a whole number.
        tenants: the tenant for each of these. What is not here is refused.
    """

    scheme: SignatureScheme
    secrets: str
    pointer: str
    tenants: Mapping[str, str] = field(hash=False)

    def __post_init__(self) -> None:
        _check(self.scheme, self.secrets)
        try:
            pointer_steps(self.pointer)
        except ValueError as error:
            raise DeclarationError(f"the field that names the tenant: {error}") from None
        if not self.tenants:
            raise DeclarationError(
                f"the field {self.pointer!r} names no tenant: say which, as in tenants={{'acct_1': 'customer-a'}}"
            )
        for tenant in self.tenants.values():
            tenant_id(tenant)

    @property
    def proof(self) -> str:
        """What proves the tenant, in words."""
        return f"{self.scheme.name} signature with the secret of {self.secrets}, tenant by {self.pointer}"

    def tenant_in(self, payload: JsonValue) -> TenantId | None:
        """The tenant that a proven *payload* is of; None if it names none that is declared."""
        value = text_at(self.pointer, payload)
        named = None if value is None else self.tenants.get(value)
        return None if named is None else TenantId(named)


SignedSource = TenantFromWebhook | TenantFromSignedField
"""Where a signature over the body is the proof."""

TenantSource = TenantFromApiKey | SignedSource
"""How an HTTP function knows its tenant."""


def _check(scheme: object, system: object) -> None:
    if not isinstance(scheme, SignatureScheme):
        raise DeclarationError(f"{scheme!r} is no signature scheme: use StandardWebhooks(), for instance")
    if not isinstance(system, str) or not _SYSTEM.fullmatch(system):
        raise DeclarationError(
            f"secrets={system!r} names no system: use 1 to 63 lower-case letters, digits and hyphens, as in 'shop'"
        )
