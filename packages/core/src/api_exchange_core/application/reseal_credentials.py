"""Sealing credentials anew, so that old keys can go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from api_exchange_core.application.administer_credentials import all_credentials, named
from api_exchange_core.application.credential_reader import binding
from api_exchange_core.domain.errors import DeclarationError, LostRaceError, PermanentError
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.credential_store import CredentialStore, SealedCredentials
from api_exchange_core.ports.sealer import SealedText, Sealer


@dataclass(frozen=True, slots=True)
class Resealed:
    """What sealing anew came to.

    Args:
        resealed: how many credentials or tokens were sealed with another key, and are with the current one now.
        current: how many were already.
        failed: why others were left as they are; each names its tenant and system, or API.
    """

    resealed: int
    current: int
    failed: Sequence[str]

    def __add__(self, other: Resealed) -> Resealed:
        """What both came to."""
        return Resealed(
            self.resealed + other.resealed, self.current + other.current, [*self.failed, *other.failed]
        )


@dataclass(frozen=True, slots=True)
class ResealCredentials:
    """Seals with the current key what was sealed with older ones, which nothing needs then.

    It writes one tenant's credentials at a time, so it may be broken off and run again, beside the work.

    Args:
        store: keeps the credentials.
        sealer: opens and seals them.
        clock: tells the time.
    """

    store: CredentialStore
    sealer: Sealer
    clock: Clock

    def run(self) -> Resealed:
        """Go through all credentials of all tenants. Previous ones whose time is over are dropped on the way.

        Raises:
            DeclarationError: there is no key to seal with.
            TransientError: store or keys are out of reach; calling again goes on.
        """
        resealed, current, failed = 0, 0, []
        for kept in all_credentials(self.store, None):
            try:
                if self._is_current(kept):
                    current += 1
                else:
                    self.store.write(self._anew(kept))
                    resealed += 1
            except DeclarationError:
                raise
            except LostRaceError:
                failed.append(f"{named(kept)} were changed at the same time: run it again")
            except PermanentError as error:
                failed.append(f"{named(kept)}: {error}")
        return Resealed(resealed, current, failed)

    def _is_current(self, kept: SealedCredentials) -> bool:
        texts = [text for text in (kept.sealed, kept.previous) if text is not None]
        return all(self.sealer.is_current(text) for text in texts)

    def _anew(self, kept: SealedCredentials) -> SealedCredentials:
        kept = kept.at(self.clock.now())
        previous = kept.previous
        return replace(
            kept,
            version=kept.version + 1,
            sealed=self._with_current_key(kept, kept.sealed),
            previous=None if previous is None else self._with_current_key(kept, previous),
        )

    def _with_current_key(self, kept: SealedCredentials, sealed: SealedText) -> SealedText:
        bound_to = binding(kept.tenant_id, kept.system)
        return self.sealer.seal(self.sealer.unseal(sealed, bound_to=bound_to), bound_to=bound_to)
