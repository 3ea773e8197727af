"""Tokens outlive the key that they were sealed with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from api_exchange_core import DeclarationError
from api_exchange_core.application.make_token import ACCESS, REFRESH, token_binding
from api_exchange_core.application.reseal_credentials import Resealed
from api_exchange_core.application.reseal_tokens import ResealTokens
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.sealer import SealedText
from api_exchange_core.ports.token_store import NOTHING, NewToken, Takeover, TokenState
from api_exchange_testing import InMemorySealer, VirtualClock
from api_exchange_testing.memory.token_store import InMemoryTokenStore

HOUR = timedelta(hours=1)
CRM = TokenKey(TenantId("acme"), "crm", "contacts")
WIKI = TokenKey(TenantId("acme"), "wiki")


class Here:
    """Tokens, and what seals them."""

    def __init__(self) -> None:
        self.clock = VirtualClock(datetime(2026, 3, 1, tzinfo=UTC))
        self.tokens = InMemoryTokenStore(self.clock)
        self.sealer = InMemorySealer(["k1"])
        self.made = 0

    def makes(self, key: TokenKey, *, refresh: bool) -> None:
        """Store the next token of *key*."""
        seen = self.tokens.read(key).get(0, TokenState()).token_id
        lease = self.tokens.claim(key, slot=0, seen=seen, owner="one", lease=HOUR, takeover=Takeover())
        assert lease is not None
        self.made += 1
        token = NewToken(
            token_id=TokenId(f"t-{self.made}"),
            sealed=self.sealer.seal(b"access", bound_to=token_binding(key, ACCESS)),
            refresh=self.sealer.seal(b"refresh", bound_to=token_binding(key, REFRESH)) if refresh else None,
            expires_in=HOUR,
            lifetime=HOUR,
            live_for=NOTHING,
        )
        assert self.tokens.store(lease, token)

    def reseals(self) -> Resealed:
        """Run it."""
        return ResealTokens(self.tokens, self.sealer).run()

    def refresh_token(self, key: TokenKey) -> bytes:
        """The refresh token, opened."""
        kept = self.tokens.read(key)[0].refresh
        assert kept is not None
        return self.sealer.unseal(kept, bound_to=token_binding(key, REFRESH))


@pytest.fixture
def here() -> Here:
    return Here()


def test_with_the_old_key_gone_refresh_tokens_are_still_readable(here: Here) -> None:
    here.makes(CRM, refresh=True)
    here.makes(WIKI, refresh=False)
    here.sealer.use(["k2", "k1"])
    assert here.reseals() == Resealed(2, 0, [])
    assert here.reseals() == Resealed(0, 2, [])
    here.sealer.use(["k2"])
    assert here.refresh_token(CRM) == b"refresh"
    sealed = here.tokens.read(WIKI)[0].sealed
    assert sealed is not None
    assert here.sealer.unseal(sealed, bound_to=token_binding(WIKI, ACCESS)) == b"access"


def test_the_refresh_token_of_an_expired_token_is_sealed_anew(here: Here) -> None:
    here.makes(CRM, refresh=True)
    here.makes(WIKI, refresh=False)
    here.clock.advance(HOUR)
    here.sealer.use(["k2", "k1"])
    assert here.reseals() == Resealed(1, 0, [])
    here.sealer.use(["k2"])
    assert here.refresh_token(CRM) == b"refresh"


def test_a_token_that_cannot_be_opened_does_not_keep_its_refresh_token_back(here: Here) -> None:
    here.sealer.use(["lost", "k1"])
    here.makes(CRM, refresh=False)
    here.sealer.use(["k1"])
    (record,) = here.tokens.all()
    refresh = here.sealer.seal(b"refresh", bound_to=token_binding(CRM, REFRESH))
    assert here.tokens.replace(record, sealed=record.state.sealed, refresh=refresh)
    here.sealer.use(["k2", "k1"])
    assert here.reseals() == Resealed(1, 0, [])
    here.sealer.use(["k2"])
    assert here.refresh_token(CRM) == b"refresh"


def test_a_refresh_token_that_cannot_be_opened_is_told_and_the_others_go_on(here: Here) -> None:
    here.sealer.use(["lost"])
    here.makes(CRM, refresh=True)
    here.sealer.use(["k1"])
    here.makes(WIKI, refresh=True)
    here.sealer.use(["k2", "k1"])
    done = here.reseals()
    assert (done.resealed, done.current) == (1, 0)
    (failure,) = done.failed
    assert "tenant 'acme' for 'crm' (scope 'contacts')" in failure
    assert "lost" in failure


def test_a_refresh_token_that_is_stored_meanwhile_stays(here: Here) -> None:
    class Interrupted(InMemorySealer):
        @override
        def unseal(self, sealed: SealedText, *, bound_to: Sequence[str]) -> bytes:
            here.makes(CRM, refresh=True)
            return b"older"

    here.makes(CRM, refresh=True)
    done = ResealTokens(here.tokens, Interrupted(["k2", "k1"])).run()
    assert [failure.endswith("run it again") for failure in done.failed] == [True]
    assert here.refresh_token(CRM) == b"refresh"


def test_without_a_key_nothing_is_sealed_anew(here: Here) -> None:
    class Keyless(InMemorySealer):
        @override
        def is_current(self, sealed: SealedText) -> bool:
            raise DeclarationError("there is no key")

    here.makes(CRM, refresh=True)
    with pytest.raises(DeclarationError, match="there is no key"):
        ResealTokens(here.tokens, Keyless([])).run()
