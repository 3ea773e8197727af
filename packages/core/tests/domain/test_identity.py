"""Ids that follow from what they identify."""

from __future__ import annotations

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.identity import derived_message_id, entity_id

parts = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4)


@given(parts)
def test_an_id_is_the_version_5_uuid_of_its_parts(names: list[str]) -> None:
    namespace = UUID("8c7c7a52-7a0c-5f0b-8a3d-5a2f3f0d9e02")
    assert derived_message_id(*names) == str(
        uuid5(namespace, "".join(f"{len(name)}:{name}" for name in names))
    )


@given(parts, parts)
def test_other_parts_make_another_id(some: list[str], others: list[str]) -> None:
    assert (derived_message_id(*some) == derived_message_id(*others)) == (some == others)


def test_an_entity_of_another_tenant_is_another_entity() -> None:
    def of(tenant: str) -> str:
        return entity_id(tenant_id=tenant, canonical_type="order", source="shop", external_id="1")

    assert of("customer-a") == of("customer-a") != of("customer-b")
