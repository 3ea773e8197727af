"""Credentials as the code reads them that a processor calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Generic, TypeVar

from pydantic import BaseModel
from typing_extensions import override

from api_exchange_core.application.services import current_services
from api_exchange_core.domain.credentials import Credentials, credentials_as, system_name
from api_exchange_core.domain.errors import DeclarationError, DeferError, InvalidPayloadError, PermanentError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import current_tenant

Model = TypeVar("Model", bound=BaseModel)

WAIT_FOR_CREDENTIALS: Final = timedelta(minutes=1)
"""How long a message stays away whose tenant has no credentials that can be used."""


class ApiCredentials(Generic[Model]):
    """The current tenant's credentials at one system, as a pydantic model.

    It is made once, where an application's clients are made, and asked in each call: a change reaches it within half
    a minute, and between changes it asks no database.

    What is missing or wrong is an operator's to mend. Until then the tenant's messages are put off, and no attempt is
    spent.

    Args:
        system: the name that `api-exchange credentials set TENANT SYSTEM` is given.
        model: what the JSON that is set there must fit. Declare its secrets as `pydantic.SecretStr`.

    Raises:
        DeclarationError: *system* is no name, or *model* no pydantic model.
    """

    def __init__(self, system: str, model: type[Model]) -> None:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise DeclarationError(
                f"credentials are read as a pydantic model, such as class ShopAccount(BaseModel), not {model!r}"
            )
        self.system = system_name(system)
        self.model = model

    @override
    def __repr__(self) -> str:
        return f"ApiCredentials({self.system!r}, {self.model.__name__})"

    def get(self) -> Model:
        """What to use.

        Raises:
            DeferError: there are none, they do not fit, or cannot be unsealed.
            TransientError: store or keys are out of reach.
            TenantError: there is no current tenant.
            DeclarationError: nothing is at work here; `current_services` says how to mend it.
        """
        tenant_id = current_tenant()
        return self._as_model(tenant_id, self._read(tenant_id).current)

    def all(self) -> Sequence[Model]:
        """What to accept from others: what is to be used, and then what was before, while that is still good.

        Raises:
            DeferError: as of `get`.
            TransientError: as of `get`.
            TenantError: as of `get`.
            DeclarationError: as of `get`.
        """
        tenant_id = current_tenant()
        return [self._as_model(tenant_id, one) for one in self._read(tenant_id).accepted]

    def _read(self, tenant_id: TenantId) -> Credentials:
        credentials = current_services().credentials
        try:
            found = credentials.read(tenant_id, self.system)
        except PermanentError as error:
            # To end each of the tenant's messages as a dead letter would be a poor answer to a key that is missing.
            raise self._waiting(f"{self._of(tenant_id)} cannot be read: {error}") from None
        if found is None:
            raise self._waiting(
                f"tenant {tenant_id!r} has no credentials for {self.system!r}: "
                f"`api-exchange credentials set {tenant_id} {self.system}` mends it"
            )
        return found

    def _as_model(self, tenant_id: TenantId, secret: bytes) -> Model:
        try:
            return credentials_as(self.model, secret, where=self._of(tenant_id))
        except InvalidPayloadError as error:
            raise self._waiting(
                f"{error}; `api-exchange credentials set {tenant_id} {self.system}` sets them right"
            ) from None

    def _of(self, tenant_id: TenantId) -> str:
        return f"credentials of tenant {tenant_id!r} for {self.system!r}"

    def _waiting(self, text: str) -> DeferError:
        return DeferError(text, delay=WAIT_FOR_CREDENTIALS)
