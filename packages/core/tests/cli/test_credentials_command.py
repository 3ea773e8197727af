"""`api-exchange credentials`, on both databases."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import Engine, text

from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.application.credential_reader import CredentialReader
from api_exchange_core.application.make_token import ACCESS, REFRESH, token_binding
from api_exchange_core.cli.opened import opened
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.credentials import Credentials, SystemName
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.token_store import NewToken, Takeover

ACME, SHOP = TenantId("acme"), SystemName("shop")
SECRET = '{"user": "u", "password": "hunter2Zq81secret"}'
PLANTED = "hunter2Zq81secret"
KEYS = "API_EXCHANGE_KEYS"


class Ended(Protocol):
    """A command that has ended."""

    @property
    def exit_code(self) -> int: ...
    @property
    def out(self) -> str: ...
    @property
    def err(self) -> str: ...


Run = Callable[..., Ended]
Give = Callable[[str | bytes], None]


@pytest.fixture
def engine(database_url: str, monkeypatch: pytest.MonkeyPatch, write: object) -> Iterator[Engine]:
    """A database with one tenant, and a key to encrypt with, both of which the commands find in the environment."""
    monkeypatch.setenv("API_EXCHANGE_DATABASE_URL", database_url)
    monkeypatch.setenv(KEYS, new_entry("first"))
    engine = create_engine_for(database_url)
    migrate.upgrade(engine)
    SqlTenantDirectory(engine).add([ACME], now=datetime.now(UTC))
    yield engine
    engine.dispose()


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Give:
    """Puts a text on standard input."""

    def give(secret: str | bytes) -> None:
        data = secret.encode() if isinstance(secret, str) else secret
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


@pytest.fixture
def run(engine: Engine, api_exchange: Run) -> Run:
    return api_exchange


def read() -> Credentials | None:
    """What a process that has just started reads."""
    with opened(None) as store:
        return CredentialReader(
            store.operations.credentials(), store.operations.sealer(), store.clock()
        ).read(ACME, SHOP)


def test_a_secret_comes_by_standard_input_and_is_never_shown(run: Run, give: Give, engine: Engine) -> None:
    give(SECRET + "\n")
    ended = run("credentials", "set", "acme", "shop", "--by", "ann")
    assert (ended.exit_code, ended.out) == (0, "acme shop: set (version 1, key first)\n")
    listed = run("credentials", "list").out + run("credentials", "list", "--json").out
    assert "ann" in listed
    assert PLANTED not in listed
    assert read() == Credentials(1, SECRET.encode())
    with engine.connect() as connection:
        rows = repr(connection.execute(text("SELECT * FROM credentials")).all())
    assert "v1.first." in rows
    assert PLANTED not in rows


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_or_from_a_file_without_the_line_break_at_its_end(run: Run, tmp_path: Path, ending: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(f"two\nlines{ending}".encode())
    assert run("credentials", "set", "acme", "shop", "--file", str(file)).exit_code == 0
    assert read() == Credentials(1, b"two\nlines")


def test_bytes_that_are_no_line_break_are_kept_to_the_last(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "key.der"
    file.write_bytes(b"\x30\x82\xff\r")
    assert run("credentials", "set", "acme", "shop", "--file", str(file)).exit_code == 0
    assert read() == Credentials(1, b"\x30\x82\xff\r")


def test_at_a_terminal_it_is_asked_for_and_not_echoed(run: Run) -> None:
    shown = at_a_terminal(["credentials", "set", "acme", "shop"], f"{PLANTED}\n")
    assert "credentials of acme for shop (not shown; ends with Enter): " in shown
    assert "acme shop: set (version 1, key first)" in shown
    assert PLANTED not in shown
    assert read() == Credentials(1, PLANTED.encode())


def at_a_terminal(words: list[str], typed: str) -> str:
    """What a terminal shows while *typed* is answered to a command's question."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "api_exchange_core.cli", *words]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    shown = b""
    while b"Enter): " not in shown:
        shown += os.read(master, 1_000)
    os.write(master, typed.encode())
    while True:
        try:
            shown += os.read(master, 1_000)
        except OSError:  # the other end is closed
            break
    assert process.wait(30) == 0, shown
    os.close(master)
    return shown.decode()


def test_no_command_takes_a_secret_as_an_argument(run: Run) -> None:
    for command in ("set", "rotate"):
        ended = run("credentials", command, "acme", "shop", PLANTED)
        assert ended.exit_code != 0
    assert read() is None


@pytest.mark.parametrize("secret", ["", "\n", "x" * (64 * 1024 + 1), "x" * 1_000_000])
def test_nothing_and_too_much_are_refused(run: Run, give: Give, secret: str) -> None:
    give(secret)
    ended = run("credentials", "set", "acme", "shop")
    assert ended.exit_code == 2
    assert "they must have 1 to 65,536" in ended.err
    give("x" * 64 * 1024 + "\n")
    assert run("credentials", "set", "acme", "shop").exit_code == 0


def test_a_rotation_accepts_the_one_before_until_it_is_retired(run: Run, give: Give) -> None:
    give("one")
    run("credentials", "set", "acme", "shop")
    give("two")
    ended = run("credentials", "rotate", "acme", "shop")
    assert (
        ended.out == "acme shop: rotated; the one before is accepted until retired (version 2, key first)\n"
    )
    assert read() == Credentials(2, b"two", b"one")
    give("three")
    refused = run("credentials", "rotate", "acme", "shop")
    assert (refused.exit_code, refused.out) == (2, "")
    assert "api-exchange credentials retire acme shop" in refused.err
    assert run("credentials", "retire", "acme", "shop").out == "acme shop: the previous ones are retired\n"
    assert run("credentials", "retire", "acme", "shop").out == "acme shop: there were no previous ones\n"
    assert read() == Credentials(3, b"two")


def test_or_until_a_time(run: Run, give: Give) -> None:
    give("one")
    run("credentials", "set", "acme", "shop")
    give("two")
    account = json.loads(run("credentials", "rotate", "acme", "shop", "--keep", "24h", "--json").out)
    until = datetime.fromisoformat(account["previous_until"])
    assert (until - datetime.fromisoformat(account["set_at"])).total_seconds() == pytest.approx(86_400, abs=5)
    assert f"until {until:%Y-%m-%d %H:%M:%S}" in run("credentials", "list").out


def test_what_is_removed_is_gone_and_it_is_asked_first(run: Run, give: Give) -> None:
    give("one")
    run("credentials", "set", "acme", "shop")
    give("")
    assert "say --yes" in run("credentials", "remove", "acme", "shop").err
    assert read() is not None
    assert run("credentials", "remove", "acme", "shop", "--yes").out == "acme shop: removed\n"
    assert run("credentials", "remove", "acme", "shop", "--yes").out == "acme shop: there were none\n"
    assert run("credentials", "list").out == "no credentials\n"


def test_keys_are_rotated_without_a_moment_at_which_something_cannot_be_read(
    run: Run, give: Give, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = os.environ[KEYS]
    give(SECRET)
    run("credentials", "set", "acme", "shop")
    made = run("credentials", "new-key", "--id", "second")
    assert made.exit_code == 0
    second = made.out.strip()
    assert second.startswith("second:")
    for keys in (f"{first},{second}", f"{second}\n{first}"):
        monkeypatch.setenv(KEYS, keys)
        assert read() == Credentials(1, SECRET.encode())
    ended = run("credentials", "reseal", "--json")
    assert json.loads(ended.out) == {"resealed": 1, "current": 0, "failed": []}
    monkeypatch.setenv(KEYS, second)
    assert read() == Credentials(2, SECRET.encode())


def test_tokens_are_sealed_anew_with_the_credentials(
    run: Run, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour, key = timedelta(hours=1), TokenKey(ACME, "crm")
    with opened(None) as store:
        sealer, tokens = store.operations.sealer(), store.token_store()
        takeover = Takeover()
        lease = tokens.claim(key, slot=0, seen=None, owner="one", lease=hour, takeover=takeover)
        assert lease is not None
        made = NewToken(
            token_id=TokenId("t-1"),
            sealed=sealer.seal(b"access", bound_to=token_binding(key, ACCESS)),
            refresh=sealer.seal(b"refresh", bound_to=token_binding(key, REFRESH)),
            expires_in=hour,
            lifetime=hour,
            live_for=hour,
        )
        assert tokens.store(lease, made)
    second = new_entry("second")
    monkeypatch.setenv(KEYS, f"{second},{os.environ[KEYS]}")
    assert json.loads(run("credentials", "reseal", "--json").out)["resealed"] == 1
    assert json.loads(run("credentials", "reseal", "--json").out)["current"] == 1
    monkeypatch.setenv(KEYS, second)
    with opened(None) as store:
        state = store.token_store().read(key)[0]
        assert state.sealed is not None
        assert state.refresh is not None
        sealer = store.operations.sealer()
        assert sealer.unseal(state.sealed, bound_to=token_binding(key, ACCESS)) == b"access"
        assert sealer.unseal(state.refresh, bound_to=token_binding(key, REFRESH)) == b"refresh"


def test_what_cannot_be_sealed_anew_ends_the_command_with_an_error_that_names_it(
    run: Run, give: Give, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(SECRET)
    run("credentials", "set", "acme", "shop")
    monkeypatch.setenv(KEYS, new_entry("second"))
    ended = run("credentials", "reseal")
    assert ended.exit_code == 2
    assert "tenant 'acme' for 'shop': key 'first' is not in the secret 'API_EXCHANGE_KEYS'" in ended.out


def test_a_new_key_has_the_date_in_its_name_and_is_the_whole_answer(run: Run) -> None:
    one, other = run("credentials", "new-key"), run("credentials", "new-key")
    assert one.out.startswith(f"{datetime.now(UTC):%Y-%m-%d}-")
    assert one.out.count("\n") == 1
    assert one.out != other.out
    assert "to the front" in one.err
    assert one.out.split(":")[1].strip() not in one.err


def test_keys_may_be_files_of_a_folder(
    run: Run, give: Give, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / KEYS).write_text(new_entry("mounted"))
    monkeypatch.setenv("API_EXCHANGE_SECRETS_FOLDER", str(tmp_path))
    give(SECRET)
    assert run("credentials", "set", "acme", "shop").out.endswith("key mounted)\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "nobody", "shop"), "tenant 'nobody' is unknown"),
        (("set", "acme", "Shop"), "no name of a system"),
        (("rotate", "acme", "shop"), "api-exchange credentials set acme shop"),
        (("retire", "acme", "shop"), "api-exchange credentials set acme shop"),
        (("rotate", "acme", "shop", "--keep", "soon"), "no length of time"),
        (("new-key", "--id", "a.b"), "1 to 32 letters"),
    ],
)
def test_what_is_wrong_is_said(run: Run, give: Give, words: tuple[str, ...], said: str) -> None:
    give(SECRET)
    ended = run("credentials", *words)
    assert ended.exit_code == 2
    assert said in " ".join(ended.err.split())
    assert PLANTED not in ended.out + ended.err


@pytest.mark.parametrize("keys", [None, "", PLANTED, f"k:{PLANTED}", f"{PLANTED * 3}:k"])
def test_a_keyring_that_is_wrong_is_told_without_a_word_of_it(
    run: Run, give: Give, monkeypatch: pytest.MonkeyPatch, keys: str | None
) -> None:
    if keys is None:
        monkeypatch.delenv(KEYS)
    else:
        monkeypatch.setenv(KEYS, keys)
    give(SECRET)
    ended = run("credentials", "set", "acme", "shop")
    assert ended.exit_code == 2
    assert KEYS in ended.err
    assert PLANTED not in ended.out + ended.err
