"""Keys of entities and references to them."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from api_exchange_core.domain.entity import EntityKey, EntityReference, reference_to
from api_exchange_core.domain.names import MAX_COUNT, TenantId
from api_exchange_testing.strategies.names import identifiers, tenant_ids


def entity_keys(*, tenant: SearchStrategy[TenantId] | None = None) -> SearchStrategy[EntityKey]:
    """What makes an entity the same one.

    Args:
        tenant: whose it is; any tenant if not given.
    """
    return st.builds(
        EntityKey,
        tenant_ids() if tenant is None else tenant,
        canonical_type=identifiers(),
        source=identifiers(),
        external_id=identifiers(),
    )


def entity_references(*, tenant: SearchStrategy[TenantId] | None = None) -> SearchStrategy[EntityReference]:
    """What messages carry of entities, the ids derived as the framework does.

    Args:
        tenant: whose they are; any tenant if not given.
    """
    return st.builds(
        lambda key, version: reference_to(key, key.id, version),
        entity_keys(tenant=tenant),
        st.integers(min_value=1, max_value=MAX_COUNT) | st.integers(min_value=1, max_value=9),
    )
