"""What every `PayloadStore` does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from api_exchange_core.domain.claim_check import PayloadClaim
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.payload_store import PayloadStore
from api_exchange_testing.conformance._samples import OTHER_TENANT, TENANT
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.conformance.suite import Suite

Damage = Callable[[TenantId, PayloadClaim], None]
"""Changes the bytes that are kept for a claim. Not through the store."""

_CONTENT = b'{"order": 1}'


class PayloadStoreSuite(Suite):
    """Needs a fixture `payloads` that returns an empty `PayloadStore`, and a fixture `damage` that is a `Damage`."""

    def test_what_is_put_can_be_had(self, payloads: PayloadStore) -> None:
        claim = payloads.put(TENANT, _CONTENT)
        assert claim == PayloadClaim.to(_CONTENT)
        assert payloads.get(TENANT, claim) == _CONTENT

    @pytest.mark.parametrize("content", [b"", bytes(range(256)), b"x" * 5_000_000])
    def test_any_bytes_can_be_kept(self, payloads: PayloadStore, content: bytes) -> None:
        assert payloads.get(TENANT, payloads.put(TENANT, content)) == content

    def test_the_same_content_again_is_the_same_claim_and_kept_once(self, payloads: PayloadStore) -> None:
        assert payloads.put(TENANT, _CONTENT) == payloads.put(TENANT, _CONTENT)
        assert payloads.held(TENANT) == 1

    def test_what_was_never_put_is_not_there(self, payloads: PayloadStore) -> None:
        assert payloads.get(TENANT, PayloadClaim.to(_CONTENT)) is None

    def test_no_tenant_gets_the_content_of_another(self, payloads: PayloadStore) -> None:
        claim = payloads.put(TENANT, _CONTENT)
        assert payloads.get(OTHER_TENANT, claim) is None

    def test_what_is_not_as_it_was_is_not_handed_out(self, payloads: PayloadStore, damage: Damage) -> None:
        claim = payloads.put(TENANT, _CONTENT)
        damage(TENANT, claim)
        with pytest.raises(PermanentError, match=claim.digest):
            payloads.get(TENANT, claim)

    def test_erasing_removes_what_is_kept_of_one_tenant(self, payloads: PayloadStore) -> None:
        claims = [payloads.put(TENANT, b"%d" % number) for number in range(3)]
        kept = payloads.put(OTHER_TENANT, _CONTENT)
        assert payloads.erase(TENANT, limit=1_000) == 3
        assert [payloads.get(TENANT, claim) for claim in claims] == [None, None, None]
        assert payloads.get(OTHER_TENANT, kept) == _CONTENT
        assert payloads.erase(TENANT, limit=1_000) == 0

    def test_no_more_is_erased_at_once_than_is_allowed(self, payloads: PayloadStore) -> None:
        for number in range(3):
            payloads.put(TENANT, b"%d" % number)
        assert [payloads.erase(TENANT, limit=2) for _ in range(3)] == [2, 1, 0]

    def test_what_is_held_of_a_tenant_is_counted(self, payloads: PayloadStore) -> None:
        assert payloads.held(TENANT) == 0
        for number in range(3):
            payloads.put(TENANT, b"%d" % number)
        payloads.put(OTHER_TENANT, _CONTENT)
        assert payloads.held(TENANT) == 3
        payloads.erase(TENANT, limit=2)
        assert payloads.held(TENANT) == 1

    def test_many_put_the_same_at_once_and_all_have_it(self, payloads: PayloadStore) -> None:
        content = b"x" * 100_000

        def put_and_get(_: int) -> bytes | None:
            return payloads.get(TENANT, payloads.put(TENANT, content))

        assert set(all_at_once(put_and_get)) == {content}
