"""What every `WebhookSecrets` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.webhook_secrets import WebhookSecrets
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, OTHER_TENANT, TENANT
from api_exchange_testing.conformance.suite import Suite

Secrets = Mapping[tuple[TenantId | None, str], Sequence[str]]
"""What is in force, by tenant (None: shared by all) and system."""

Knowing = Callable[[Secrets], WebhookSecrets]
"""Gives the adapter under test, which knows what it is given and nothing else."""

_SECRETS: Secrets = {
    (TENANT, "shop"): ["whsec_new", "whsec_old"],
    (OTHER_TENANT, "shop"): [EVERY_SCRIPT],
    (None, "payments"): ["whsec_of_all"],
}


class WebhookSecretsSuite(Suite):
    """Needs a fixture `knowing` that returns a `Knowing`."""

    @pytest.fixture
    def secrets(self, knowing: Knowing) -> WebhookSecrets:
        """Those of two tenants, and those that tenants share."""
        return knowing(_SECRETS)

    @pytest.mark.parametrize("whose", list(_SECRETS), ids=str)
    def test_the_secrets_in_force_come_in_their_order(
        self, secrets: WebhookSecrets, whose: tuple[TenantId | None, str]
    ) -> None:
        tenant, system = whose
        wanted = [secret.encode() for secret in _SECRETS[whose]]
        assert list(secrets.secrets_of(tenant, system=system)) == wanted

    @pytest.mark.parametrize(
        ("tenant", "system"),
        [
            (TENANT, "payments"),
            (None, "shop"),
            (TENANT, "unknown"),
            (TenantId("unknown"), "shop"),
            (None, "unknown"),
        ],
    )
    def test_whoever_has_none_has_not_those_of_somebody_else(
        self, secrets: WebhookSecrets, tenant: TenantId | None, system: str
    ) -> None:
        assert list(secrets.secrets_of(tenant, system=system)) == []
