"""Somebody's API that asks for tokens, in a test: it issues them, ends them, and notices what costs real ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from typing_extensions import override

from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.secret import Secret
from api_exchange_core.domain.tenant import current_tenant
from api_exchange_core.domain.token_answer import TokenAnswer
from api_exchange_core.ports.token_grant import TokenGrant, TokenRefusedError
from api_exchange_testing.simulation.elsewhere import current_simulation, elsewhere, true_time
from api_exchange_testing.simulation.token_watch import Issue


@dataclass(slots=True)
class _Account:
    """One tenant's, at the vendor."""

    live: list[Issue] = field(default_factory=list)
    refresh: str = ""
    burnt: set[str] = field(default_factory=set)


class SimulatedVendor(TokenGrant):
    """Issues tokens, and serves calls that bring one. Hand it to `ApiTokenService` in place of a grant.

    Requests take time, and in a simulation they are steps at which instances end, stand still or lose the answer.
    Nothing of it is undone by a crash. What a real vendor would punish is noted in `wrong`, and breaks a simulation.
    Make it anew for each one, together with the exchange.

    Args:
        lifetime: of a token.
        takes: how long a request is under way.
        timeout: how long a client waits for an answer, which is what a lease follows from.
        rotates: each exchange burns a refresh token and gives the next one. One that is sent again ends all tokens of
            its tenant, as RFC 9700, section 4.14.2, has it.
        max_active: how many tokens of a tenant live at a time; one more ends the oldest.

    Attributes:
        issues: all tokens, in the order in which they were issued.
        wrong: what no client should have done, a sentence each.
    """

    def __init__(
        self,
        *,
        lifetime: timedelta = timedelta(hours=1),
        takes: timedelta = timedelta(seconds=1),
        timeout: timedelta = timedelta(seconds=10),
        rotates: bool = False,
        max_active: int | None = None,
    ) -> None:
        self.issues: list[Issue] = []
        self.wrong: list[str] = []
        self._lifetime = lifetime
        self._takes = takes
        self._timeout = timeout
        self._rotates = rotates
        self._max_active = max_active
        self._accounts: dict[TenantId, _Account] = {}

    @property
    @override
    def timeout(self) -> timedelta:
        return self._timeout

    @property
    @override
    def is_repeatable(self) -> bool:
        return not self._rotates

    @override
    def ask(self, refresh_token: Secret | None) -> TokenAnswer:
        sent = None if refresh_token is None else refresh_token.reveal()
        return elsewhere("vendor.token", self._issue, current_tenant(), sent, takes=self._takes)

    def serves(self, token: str) -> bool:
        """Whether the API takes *token* for a call on behalf of the current tenant: what it refuses it answers 401.

        Raises:
            TransientError: the request or its answer was lost.
        """
        return elsewhere("vendor.call", self._serves, current_tenant(), token, takes=self._takes)

    def revoke(self, tenant: str | None = None) -> None:
        """End what tokens there are, before their time: of one tenant, or of all."""
        for tenant_id, account in self._accounts.items():
            if tenant in (None, tenant_id):
                account.live.clear()

    def live(self, tenant: str, at: datetime) -> int:
        """How many tokens of a tenant the API would take at a time from now on."""
        account = self._accounts.get(TenantId(tenant), _Account())
        return sum(one.expires_at > at for one in account.live)

    def _issue(self, tenant_id: TenantId, sent: str | None) -> TokenAnswer:
        account = self._accounts.setdefault(tenant_id, _Account(refresh=f"refresh-{tenant_id}-0"))
        if self._rotates:
            self._burn(tenant_id, account, account.refresh if sent is None and not account.burnt else sent)
        now = true_time()
        token = Issue(tenant_id, f"token-{len(self.issues) + 1}", now, now + self._lifetime)
        self._make_room(tenant_id, account, now)
        account.live.append(token)
        self.issues.append(token)
        here = current_simulation()
        if here is not None:
            here.watch.issues[token.token] = token
        return TokenAnswer(
            Secret(token.token), self._lifetime, Secret(account.refresh) if self._rotates else None
        )

    def _burn(self, tenant_id: TenantId, account: _Account, sent: str | None) -> None:
        if sent != account.refresh:
            account.live.clear()
            self._note(f"a refresh token sent twice: {tenant_id}, who has lost all tokens by it")
            raise TokenRefusedError("invalid_grant: the refresh token was used before", final=True)
        account.burnt.add(sent)
        account.refresh = f"refresh-{tenant_id}-{len(account.burnt)}"

    def _make_room(self, tenant_id: TenantId, account: _Account, now: datetime) -> None:
        account.live[:] = [one for one in account.live if one.expires_at > now]
        if self._max_active is not None and len(account.live) >= self._max_active:
            self._note(
                f"more tokens than may live: {tenant_id} has {self._max_active}, and asked for one more, which ended "
                "the oldest"
            )
            del account.live[0]

    def _serves(self, tenant_id: TenantId, token: str) -> bool:
        owners = {one.tenant_id for one in self.issues if one.token == token}
        if not owners:
            self._note(f"a token that was never issued: somebody called the API with it for {tenant_id}")
        elif tenant_id not in owners:
            self._note(f"a tenant crossed: the API was called for {tenant_id} with a token of {owners.pop()}")
        account = self._accounts.get(tenant_id, _Account())
        now = true_time()
        return any(one.token == token and one.expires_at > now for one in account.live)

    def _note(self, wrong: str) -> None:
        self.wrong.append(wrong)
        here = current_simulation()
        if here is not None:
            here.watch.wrong.append(wrong)
