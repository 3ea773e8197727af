"""Sealing tokens anew, so that old keys can go."""

from __future__ import annotations

from dataclasses import dataclass

from api_exchange_core.application.make_token import ACCESS, REFRESH, token_binding
from api_exchange_core.application.reseal_credentials import Resealed
from api_exchange_core.domain.api_token import TokenKey
from api_exchange_core.domain.errors import DeclarationError, PermanentError
from api_exchange_core.ports.sealer import SealedText, Sealer
from api_exchange_core.ports.token_store import NOTHING, TokenRecord, TokenRecords, TokenState


@dataclass(frozen=True, slots=True)
class ResealTokens:
    """Seals tokens with the current key that were sealed with older ones.

    A refresh token that nobody can open is lost, and there may be no other. A token can be made again, but counts
    until its end where a vendor counts tokens. Those that have expired are left as they are.

    Args:
        tokens: keeps them.
        sealer: opens and seals them.
    """

    tokens: TokenRecords
    sealer: Sealer

    def run(self) -> Resealed:
        """Go through all tokens of all tenants, beside those who use and make them.

        Raises:
            DeclarationError: there is no key to seal with.
            TransientError: store or keys are out of reach; calling again goes on.
        """
        done = _of(0, 0)
        for record in self.tokens.all():
            done += self._anew(record)
        return done

    def _anew(self, record: TokenRecord) -> Resealed:
        state = record.state
        if state.refresh is None and not _is_of_use(state):
            return _of(0, 0)
        try:
            refresh = self._with_current_key(record.key, state.refresh, REFRESH)
            sealed = self._token_with_current_key(record)
        except DeclarationError:
            raise
        except PermanentError as error:
            return _of(0, 0, f"{_named(record.key)}: {error}")
        if (sealed, refresh) == (state.sealed, state.refresh):
            return _of(0, 1)
        if self.tokens.replace(record, sealed=sealed, refresh=refresh):
            return _of(1, 0)
        return _of(0, 0, f"{_named(record.key)} was changed at the same time: run it again")

    def _token_with_current_key(self, record: TokenRecord) -> SealedText | None:
        sealed = record.state.sealed
        if not _is_of_use(record.state):
            return sealed
        try:
            return self._with_current_key(record.key, sealed, ACCESS)
        except DeclarationError:
            raise
        except PermanentError:  # as good as no token: whoever needs it makes another
            return sealed

    def _with_current_key(self, key: TokenKey, sealed: SealedText | None, kind: str) -> SealedText | None:
        if sealed is None or self.sealer.is_current(sealed):
            return sealed
        bound_to = token_binding(key, kind)
        return self.sealer.seal(self.sealer.unseal(sealed, bound_to=bound_to), bound_to=bound_to)


def _is_of_use(state: TokenState) -> bool:
    return state.sealed is not None and state.expires_in > NOTHING


def _of(resealed: int, current: int, *failed: str) -> Resealed:
    return Resealed(resealed, current, failed)


def _named(key: TokenKey) -> str:
    scope = f" (scope {key.scope!r})" if key.scope else ""
    return f"token of tenant {key.tenant_id!r} for {key.api!r}{scope}"
