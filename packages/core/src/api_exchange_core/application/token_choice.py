"""Which of the tokens in the store can be used, and where the next one may be made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from api_exchange_core.application.token_plan import TokenPlan
from api_exchange_core.domain.api_token import TokenId
from api_exchange_core.ports.token_store import NOTHING, TokenState

States = Mapping[int, TokenState]
"""What the store has told of a key, by slot."""

_EMPTY = TokenState()


def shared_slots(states: States, plan: TokenPlan, *, instead_of: TokenId | None) -> Sequence[int]:
    """Where there are tokens that can be handed out, other than the one that is to be replaced."""
    return [
        slot
        for slot, state in sorted(states.items())
        if state.token_id not in (None, instead_of)
        and plan.use.usable_for(state.expires_in, lifetime=state.lifetime) > NOTHING
    ]


def free_slots(states: States, plan: TokenPlan) -> Sequence[int]:
    """Where the next token may be made; whether that is so still is for the store to say."""
    return [slot for slot in range(plan.slots) if _is_free(states.get(slot, _EMPTY), plan)]


def barred_for(states: States) -> timedelta:
    """How long the vendor is to be left alone."""
    return max((state.barred_for for state in states.values()), default=NOTHING)


def is_used_up(states: States, plan: TokenPlan) -> bool:
    """Whether an exchange that cannot be repeated was begun and not ended in its time."""
    return plan.takeover.after is None and any(
        state.leased_for is not None and state.leased_for <= NOTHING for state in states.values()
    )


def current_token(states: States, slot: int) -> TokenId | None:
    """The token in *slot*."""
    return states.get(slot, _EMPTY).token_id


def _is_free(state: TokenState, plan: TokenPlan) -> bool:
    takeover = plan.takeover
    if not takeover.beside_live and state.live_for > NOTHING:
        return False
    if state.leased_for is None:
        return True
    return takeover.after is not None and state.leased_for <= -takeover.after
