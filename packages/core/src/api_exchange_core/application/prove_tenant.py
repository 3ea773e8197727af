"""Finding out for whom a request is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from api_exchange_core.application.request import Refusal, Request, RequestRefusedError
from api_exchange_core.domain.api_key import api_key_hash
from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import FunctionName, TenantId, tenant_id
from api_exchange_core.domain.signatures.proof import Flaw, Presented
from api_exchange_core.domain.signatures.scheme import SignatureScheme
from api_exchange_core.domain.tenant import Tenant
from api_exchange_core.domain.tenant_source import SignedSource, TenantFromApiKey, TenantFromSignedField
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_core.ports.webhook_secrets import WebhookSecrets

_NOBODY: Final = TenantId("nobody")
"""Whom the stores are asked about in place of what is no id at all; the answer counts for nothing."""
_STRANGER: Final = Tenant(_NOBODY, enabled=False)


@dataclass(frozen=True, slots=True)
class ProveTenant:
    """Proves the tenant of a request, or refuses it.

    A refusal tells the caller neither what was wrong nor whether there is such a tenant; the observer hears what was
    wrong. Each is reached by the same steps: both stores are asked, and every key is tried.

    Args:
        tenants: who there is.
        secrets: what they sign with.
        clock: tells the time.
        observer: hears why a signature was refused.
    """

    tenants: TenantDirectory
    secrets: WebhookSecrets
    clock: Clock
    observer: Observer

    def by_api_key(self, source: TenantFromApiKey, headers: Mapping[str, str]) -> TenantId:
        """The tenant whose key is among *headers*.

        Raises:
            RequestRefusedError: it is nobody's, or that of a disabled tenant.
            TransientError: nobody could be asked.
        """
        key = headers.get(source.header.lower())
        if key is None:
            raise _without_key(f"send the API key in the header {source.header}")
        tenant = self.tenants.by_api_key(api_key_hash(key))
        if tenant is None:
            raise _without_key(f"the API key in the header {source.header} is unknown")
        return _enabled(tenant)

    def presented(self, function: FunctionName, source: SignedSource, request: Request) -> Presented:
        """What *request* presents as its signature, as far as that can be told without its body.

        Raises:
            RequestRefusedError: nothing, or nothing of the present.
        """
        presented = source.scheme.presented(request.headers)
        if isinstance(presented, Flaw):
            raise self._unproven(function, presented)
        if not presented.is_timely(self.clock.now(), source.scheme.tolerance):
            raise self._unproven(function, Flaw.OUT_OF_TIME)
        return presented

    def by_signature(
        self, function: FunctionName, source: SignedSource, request: Request, presented: Presented
    ) -> TenantId | None:
        """The tenant whose own secret signed the body of *request*; None if the application's did.

        Raises:
            RequestRefusedError: neither did, or the tenant is unknown or disabled.
            TransientError: nobody could be asked.
        """
        if isinstance(source, TenantFromSignedField):
            keys = _keys(source.scheme, self.secrets.secrets_of(None, system=source.secrets))
            self._check_proven(function, request, presented, keys)
            return None
        named = _id_in(request)
        asked_for = _NOBODY if named is None else named
        tenant = self.tenants.get(asked_for)
        secrets = self.secrets.secrets_of(asked_for, system=source.secrets)
        if named is None or tenant is None or tenant.erased_at is not None:
            tenant, secrets = _STRANGER, ()
        self._check_proven(function, request, presented, _keys(source.scheme, secrets))
        return _enabled(tenant)

    def _check_proven(
        self, function: FunctionName, request: Request, presented: Presented, keys: Sequence[bytes]
    ) -> None:
        if not presented.is_proven(request.body, keys):
            raise self._unproven(function, Flaw.MISMATCH if keys else Flaw.UNKEYED)

    def in_payload(self, source: SignedSource, payload: JsonValue) -> TenantId:
        """The tenant that a *payload* names which the application's secret has signed.

        Raises:
            RequestRefusedError: it names none that is known and enabled.
            TransientError: nobody could be asked.
        """
        named = source.tenant_in(payload) if isinstance(source, TenantFromSignedField) else None
        tenant = None if named is None else self.tenants.get(named)
        if tenant is None:
            raise RequestRefusedError(Refusal.FORBIDDEN, "the request is for nobody who is known here")
        return _enabled(tenant)

    def _unproven(self, function: FunctionName, flaw: Flaw) -> RequestRefusedError:
        self.observer.event("request.unproven", function=function, flaw=flaw)
        return RequestRefusedError(
            Refusal.UNAUTHENTICATED,
            "the request is not signed as it has to be",
            {"WWW-Authenticate": "Signature"},
        )


def _keys(scheme: SignatureScheme, secrets: Sequence[bytes]) -> list[bytes]:
    return [key for key in map(scheme.key, secrets) if key is not None]


def _id_in(request: Request) -> TenantId | None:
    try:
        return None if request.tenant is None else tenant_id(request.tenant)
    except TenantError:
        return None


def _enabled(tenant: Tenant) -> TenantId:
    if not tenant.enabled:
        raise RequestRefusedError(Refusal.FORBIDDEN, "the tenant is disabled")
    return tenant.id


def _without_key(detail: str) -> RequestRefusedError:
    return RequestRefusedError(Refusal.UNAUTHENTICATED, detail, {"WWW-Authenticate": "ApiKey"})
