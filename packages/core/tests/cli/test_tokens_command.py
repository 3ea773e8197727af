"""`api-exchange tokens`, on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Protocol

import pytest

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.token_store import SqlTokenStore
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.sealer import SealedText
from api_exchange_core.ports.token_store import NewToken, Takeover, TokenLease

KEY = TokenKey(TenantId("acme"), "shop", "orders")
HOUR = timedelta(hours=1)
SEALED = SealedText("sealed-s3cr3t")


class Ended(Protocol):
    """A command that has ended."""

    @property
    def exit_code(self) -> int: ...
    @property
    def out(self) -> str: ...
    @property
    def err(self) -> str: ...


Run = Callable[..., Ended]


@pytest.fixture
def store(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlTokenStore]:
    """The tokens of the database that the commands find in the environment."""
    monkeypatch.setenv("API_EXCHANGE_DATABASE_URL", database_url)
    engine = create_engine_for(database_url)
    migrate.upgrade(engine)
    yield SqlTokenStore(engine)
    engine.dispose()


def claim(store: SqlTokenStore, key: TokenKey = KEY, *, lease: timedelta = HOUR) -> TokenLease:
    found = store.claim(key, slot=0, seen=None, owner="somebody", lease=lease, takeover=Takeover())
    assert found is not None
    return found


def make(store: SqlTokenStore, key: TokenKey = KEY) -> None:
    token = NewToken(
        token_id=TokenId("id-1"), sealed=SEALED, refresh=SEALED, expires_in=HOUR, lifetime=HOUR, live_for=HOUR
    )
    assert store.store(claim(store, key), token)


def test_tokens_are_listed_and_none_is_shown(store: SqlTokenStore, api_exchange: Run) -> None:
    make(store)
    store.give_back(claim(store, TokenKey(KEY.tenant_id, "erp")), failed=True, bar=HOUR)
    claim(store, TokenKey(TenantId("other"), "shop"), lease=-HOUR)
    claim(store, TokenKey(TenantId("other"), "wiki"))
    shown = api_exchange("tokens", "list")
    assert shown.exit_code == 0
    for text in (
        "acme",
        "shop",
        "orders",
        "valid for",
        "left alone for",
        "exchange broken off",
        "being made",
        "id-1",
    ):
        assert text in shown.out
    listed = api_exchange("tokens", "list", "--tenant", "acme", "--json")
    assert [(one["api"], one["failures"], one["has_refresh_token"]) for one in json.loads(listed.out)] == [
        ("erp", 1, False),
        ("shop", 0, True),
    ]
    assert "s3cr3t" not in shown.out + listed.out


def test_where_there_are_none_the_list_says_so(store: SqlTokenStore, api_exchange: Run) -> None:
    assert api_exchange("tokens", "list").out == "no tokens\n"


def test_a_token_is_invalidated_by_hand(store: SqlTokenStore, api_exchange: Run) -> None:
    make(store)
    said = api_exchange("tokens", "invalidate", "acme", "shop", "--scope", "orders")
    assert said.out == "1 invalidated\n"
    assert store.read(KEY)[0].token_id is None
    assert api_exchange("tokens", "invalidate", "acme", "shop", "--scope", "orders").out == "0 invalidated\n"


def test_a_reset_lets_a_broken_off_exchange_be_begun_anew(store: SqlTokenStore, api_exchange: Run) -> None:
    make(store)
    store.claim(KEY, slot=0, seen=TokenId("id-1"), owner="dead", lease=-HOUR, takeover=Takeover())
    assert api_exchange("tokens", "reset", "acme", "shop", "--scope", "orders").exit_code == 0
    assert (store.read(KEY)[0].leased_for, store.read(KEY)[0].refresh) == (None, SEALED)
    api_exchange("tokens", "reset", "acme", "shop", "--scope", "orders", "--forget-refresh-token")
    assert store.read(KEY)[0].refresh is None


@pytest.mark.parametrize("command", ["reset", "invalidate"])
def test_who_names_what_is_not_there_is_told_where_to_look(
    store: SqlTokenStore, api_exchange: Run, command: str
) -> None:
    said = api_exchange("tokens", command, "acme", "shop")
    assert (said.exit_code, said.out) == (2, "")
    assert "tokens list" in said.err
