"""What an application's own code asks for tokens."""

from __future__ import annotations

from datetime import timedelta

from api_exchange_core.application.services import current_deadline, current_services
from api_exchange_core.application.token_plan import Ask, CallableGrant, TokenPlan
from api_exchange_core.domain.api_token import TokenId, TokenKey, TokenPool, TokenUse
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import current_tenant
from api_exchange_core.ports.token_grant import TokenGrant

_ANY_TENANT = TenantId("any")


class ApiTokenService:
    """The tokens of one API, each of the tenant on whose behalf the call that asks is made.

    It can be made anywhere, such as in the application's container: the store is found when a token is asked for. What
    it hands out was got with one exchange for all instances of the deployment.

    Args:
        api: the application's name for the API; tokens of one name and scope are shared.
        grant: gets tokens: a `TokenGrant`, or any function that returns a `TokenAnswer` or a token with the seconds
            that it lives.
        scope: what is asked for, as the vendor writes it; may be empty.
        use: how long a token is used.
        pool: for a vendor that lets only so many tokens live.
        patience: how long a call waits for a token before its message is put off.

    Raises:
        DeclarationError: names or times that cannot be.
    """

    def __init__(
        self,
        api: str,
        grant: TokenGrant | Ask,
        *,
        scope: str = "",
        use: TokenUse | None = None,
        pool: TokenPool | None = None,
        patience: timedelta = timedelta(seconds=30),
    ) -> None:
        TokenKey(_ANY_TENANT, api, scope)  # a wrong name is wrong for each
        self._api = api
        self._scope = scope
        self._plan = TokenPlan(
            grant=CallableGrant(grant) if callable(grant) else grant,
            use=TokenUse() if use is None else use,
            pool=pool,
            patience=patience,
        )

    def get_valid_token(self, operation: str | None = None) -> tuple[str, str]:
        """A token that is valid, and its id.

        Args:
            operation: what it is for, to be bound to what is logged while it is got.

        Raises:
            DeferError: there will be one, but not within the time that this call has.
            PermanentError: there will be none until somebody does something; `DeclarationError` if nothing is at work.
            TransientError: store or vendor could not be reached.
        """
        services, key = current_services(), self._key()
        held = services.tokens.at_hand(key)
        if held is None:
            with services.observer.bound(operation=operation):
                held = services.tokens.get(key, self._plan, current_deadline())
        return held.token.reveal(), held.token_id

    async def get_valid_token_async(self, operation: str | None = None) -> tuple[str, str]:
        """As `get_valid_token`, while what else runs on the event loop goes on."""
        services, key = current_services(), self._key()
        held = services.tokens.at_hand(key)
        if held is None:
            with services.observer.bound(operation=operation):
                held = await services.tokens.get_async(key, self._plan, current_deadline())
        return held.token.reveal(), held.token_id

    def invalidate(self, token_id: str) -> bool:
        """Say that the vendor has refused a token before its time; the next call gets another one.

        Returns:
            Whether it was the current one. If not, another caller has noticed before.

        Raises:
            TransientError: the store could not be reached; other instances may still use the token.
        """
        return current_services().tokens.invalidate(self._key(), TokenId(token_id))

    async def invalidate_async(self, token_id: str) -> bool:
        """As `invalidate`, while what else runs on the event loop goes on."""
        import asyncio  # which a cold start of what is not async does without

        return await asyncio.to_thread(self.invalidate, token_id)

    def _key(self) -> TokenKey:
        return TokenKey(current_tenant(), self._api, self._scope)
