"""Credentials from an operator's hand to the code that a processor calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel, SecretStr, field_validator
from typing_extensions import override

from api_exchange_core import (
    ApiCredentials,
    DeclarationError,
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    tenant_context,
)
from api_exchange_core.application.administer_credentials import CredentialAccount, KeepCredentials
from api_exchange_core.application.credential_reader import CREDENTIALS_MEMORY, CredentialReader, binding
from api_exchange_core.application.reseal_credentials import ResealCredentials
from api_exchange_core.domain.credentials import (
    MAX_CREDENTIALS_BYTES,
    Credentials,
    SystemName,
    credentials_as,
    system_name,
)
from api_exchange_core.domain.errors import DeferError, InvalidPayloadError, LostRaceError, TenantError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.credential_store import CredentialStore, SealedCredentials
from api_exchange_core.ports.sealer import SealedText, key_id_of
from api_exchange_testing import (
    Harness,
    InMemoryCredentialStore,
    InMemorySealer,
    InMemoryStore,
    InMemoryTenantDirectory,
    VirtualClock,
)

ACME, UMBRELLA = TenantId("acme"), TenantId("umbrella")
SHOP, ERP = SystemName("shop"), SystemName("erp")
START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET = "hunter2Zq81"


class Counting(InMemoryCredentialStore):
    """Knows how often it was read."""

    reads = 0

    @override
    def get(self, tenant_id: TenantId, *, system: SystemName) -> SealedCredentials | None:
        Counting.reads += 1
        return super().get(tenant_id, system=system)


@dataclass
class Here:
    """All that credentials go through."""

    clock: VirtualClock = field(default_factory=lambda: VirtualClock(START))
    sealer: InMemorySealer = field(default_factory=lambda: InMemorySealer(["k1"]))
    tenants: InMemoryTenantDirectory = field(default_factory=InMemoryTenantDirectory)
    store: CredentialStore = field(default_factory=lambda: Counting(InMemoryStore()))

    def __post_init__(self) -> None:
        Counting.reads = 0
        self.tenants.add([ACME, UMBRELLA], now=START)
        self.keep = KeepCredentials(self.store, self.sealer, self.tenants, self.clock)
        self.reader = CredentialReader(self.store, self.sealer, self.clock)
        self.reseal = ResealCredentials(self.store, self.sealer, self.clock)

    def set(self, secret: str, tenant: TenantId = ACME, system: SystemName = SHOP) -> CredentialAccount:
        on_version = self.keep.version(tenant, system)
        return self.keep.set(tenant, system, secret.encode(), by="ann", on_version=on_version)

    def rotate(self, secret: str, keep: timedelta | None = None) -> CredentialAccount:
        on_version = self.keep.version(ACME, SHOP)
        return self.keep.rotate(ACME, SHOP, secret.encode(), by="bob", on_version=on_version, keep=keep)

    def accepted(self) -> tuple[bytes, ...] | None:
        """What a process that has just started reads."""
        found = CredentialReader(self.store, self.sealer, self.clock).read(ACME, SHOP)
        return None if found is None else found.accepted


@pytest.fixture
def here() -> Here:
    return Here()


def test_what_is_set_is_read_and_kept_sealed(here: Here) -> None:
    account = here.set(SECRET)
    assert here.accepted() == (SECRET.encode(),)
    assert account == CredentialAccount(ACME, SHOP, 1, "k1", START, "ann", None, None)
    kept = here.store.get(ACME, system=SHOP)
    assert kept is not None
    assert SECRET not in kept.sealed


def test_what_is_sealed_for_one_tenant_or_system_is_no_use_to_another(here: Here) -> None:
    here.set(SECRET)
    kept = here.store.get(ACME, system=SHOP)
    assert kept is not None
    here.store.write(replace(kept, tenant_id=UMBRELLA))
    here.store.write(replace(kept, system=ERP))
    for tenant, system in ((UMBRELLA, SHOP), (ACME, ERP)):
        with pytest.raises(PermanentError):
            here.reader.read(tenant, system)
    assert len({binding(tenant, system) for tenant in (ACME, UMBRELLA) for system in (SHOP, ERP)}) == 4


def test_after_a_rotation_both_are_accepted_until_the_one_before_is_retired(here: Here) -> None:
    here.set("one")
    account = here.rotate("two")
    assert (account.version, account.previous_key, account.previous_until) == (2, "k1", None)
    here.clock.advance(timedelta(days=300))
    assert here.accepted() == (b"two", b"one")
    assert here.keep.retire(ACME, SHOP)
    assert here.accepted() == (b"two",)
    assert not here.keep.retire(ACME, SHOP)


def test_or_until_its_time_is_over_which_a_process_that_runs_knows_by_itself(here: Here) -> None:
    here.set("one")
    here.rotate("two", keep=HOUR)
    here.clock.advance(HOUR - timedelta(microseconds=1))
    read = here.reader.read(ACME, SHOP)
    assert read == Credentials(2, b"two", b"one", START + HOUR)
    here.clock.advance(timedelta(microseconds=1))
    assert here.reader.read(ACME, SHOP) == Credentials(2, b"two")
    (account,) = here.keep.accounts()
    assert (account.previous_key, account.previous_until) == (None, None)


def test_what_is_over_needs_no_key_any_more(here: Here) -> None:
    here.set("one")
    here.sealer.use(["k2", "k1"])
    here.rotate("two", keep=HOUR)
    here.clock.advance(HOUR)
    here.sealer.use(["k2"])
    assert here.accepted() == (b"two",)


def test_setting_accepts_nothing_else_from_now_on(here: Here) -> None:
    here.set("one")
    here.rotate("two")
    here.set("three")
    assert here.accepted() == (b"three",)


def test_what_others_still_use_is_not_rotated_away(here: Here) -> None:
    here.set("one")
    here.rotate("two", keep=HOUR)
    with pytest.raises(PermanentError, match="api-exchange credentials retire acme shop"):
        here.rotate("three")
    assert here.accepted() == (b"two", b"one")
    here.clock.advance(HOUR)
    here.rotate("three")
    assert here.accepted() == (b"three", b"two")


def test_of_two_operators_who_looked_at_the_same_version_the_second_is_told(here: Here) -> None:
    here.set("one")
    seen = here.keep.version(ACME, SHOP)
    here.set("two")
    with pytest.raises(LostRaceError, match="changed by somebody else"):
        here.keep.set(ACME, SHOP, b"three", by="bob", on_version=seen)
    with pytest.raises(LostRaceError, match="changed by somebody else"):
        here.keep.rotate(ACME, SHOP, b"three", by="bob", on_version=seen)
    assert here.accepted() == (b"two",)
    with pytest.raises(LostRaceError):
        here.keep.set(ACME, ERP, b"x", by="bob", on_version=3)


def test_what_is_removed_is_gone(here: Here) -> None:
    here.set("one")
    assert here.keep.remove(ACME, SHOP)
    assert not here.keep.remove(ACME, SHOP)
    assert here.accepted() is None
    for change in (lambda: here.rotate("two"), lambda: here.keep.retire(ACME, SHOP)):
        with pytest.raises(PermanentError, match="api-exchange credentials set acme shop"):
            change()


@pytest.mark.parametrize("size", [0, MAX_CREDENTIALS_BYTES + 1])
def test_nothing_and_too_much_are_refused(here: Here, size: int) -> None:
    with pytest.raises(PermanentError, match=f"of {size:,} bytes"):
        here.set("x" * size)
    here.set("x" * MAX_CREDENTIALS_BYTES)


def test_only_a_tenant_that_is_known_and_not_erased_gets_any(here: Here) -> None:
    with pytest.raises(TenantError, match="'nobody' is unknown"):
        here.set("one", TenantId("nobody"))
    here.set("one", UMBRELLA)
    here.tenants.set_enabled(UMBRELLA, enabled=False)
    here.set("two", UMBRELLA)  # an operator may prepare a tenant before it is enabled
    here.tenants.mark_erased(UMBRELLA, now=START)
    with pytest.raises(TenantError, match="was erased"):
        here.set("three", UMBRELLA)


def test_accounts_tell_of_one_tenant_or_all_and_never_what_is_kept(here: Here) -> None:
    for tenant, system in ((UMBRELLA, SHOP), (ACME, SHOP), (ACME, ERP)):
        here.set(SECRET, tenant, system)
    accounts = here.keep.accounts()
    assert [(one.tenant_id, one.system) for one in accounts] == [(ACME, ERP), (ACME, SHOP), (UMBRELLA, SHOP)]
    assert here.keep.accounts(UMBRELLA) == accounts[2:]
    kept = here.store.get(ACME, system=SHOP)
    assert kept is not None
    for thing in (*accounts, kept, here.reader.read(ACME, SHOP), here.reader):
        assert SECRET not in repr(thing)
        assert kept.sealed not in repr(thing)


def test_between_changes_a_process_asks_the_store_twice_a_minute(here: Here) -> None:
    here.set("one")
    Counting.reads = 0
    for _ in range(600):
        here.reader.read(ACME, SHOP)
        here.reader.read(UMBRELLA, SHOP)  # that there are none is remembered as well
        here.clock.advance(timedelta(milliseconds=100))
    assert Counting.reads == 4


def test_a_change_reaches_a_process_that_runs_within_half_a_minute(here: Here) -> None:
    here.set("one")
    here.reader.read(ACME, SHOP)
    here.set("two")
    here.clock.advance(CREDENTIALS_MEMORY)
    assert here.reader.read(ACME, SHOP) == Credentials(2, b"two")


def test_sealing_anew_leaves_what_is_said_as_it_was_and_nothing_to_the_old_key(here: Here) -> None:
    for number in range(250):  # more than a page
        here.set(f"secret-{number}", UMBRELLA, SystemName(f"system-{number}"))
    here.set("one")
    here.rotate("two")
    here.sealer.use(["k2", "k1"])
    assert here.reseal.run().resealed == 251
    again = here.reseal.run()
    assert (again.resealed, again.current, list(again.failed)) == (0, 251, [])
    here.sealer.use(["k2"])
    assert here.accepted() == (b"two", b"one")
    assert {(one.key, one.set_by) for one in here.keep.accounts(UMBRELLA)} == {("k2", "ann")}
    assert here.reader.read(UMBRELLA, SystemName("system-249")) == Credentials(2, b"secret-249")


def test_sealing_anew_drops_what_is_over(here: Here) -> None:
    here.set("one")
    here.rotate("two", keep=HOUR)
    here.clock.advance(HOUR)
    here.sealer.use(["k2", "k1"])
    here.reseal.run()
    kept = here.store.get(ACME, system=SHOP)
    assert kept is not None
    assert (kept.previous, kept.previous_until, kept.version) == (None, None, 3)


def test_what_cannot_be_opened_does_not_keep_the_others_from_being_sealed_anew(here: Here) -> None:
    for system in ("a", "b", "c"):
        here.set(SECRET, ACME, SystemName(system))
    kept = here.store.get(ACME, system=SystemName("b"))
    assert kept is not None
    here.store.write(replace(kept, version=2, sealed=SealedText(kept.sealed.replace(".k1.", ".k0."))))
    here.sealer.use(["k2", "k1"])
    resealed = here.reseal.run()
    assert (resealed.resealed, resealed.current) == (2, 0)
    (failure,) = resealed.failed
    assert "tenant 'acme' for 'b'" in failure
    assert "'k0'" in failure
    assert SECRET not in failure


def test_sealing_anew_does_not_write_over_what_an_operator_sets_meanwhile(here: Here) -> None:
    class Interrupted(InMemorySealer):
        def unseal(self, sealed: SealedText, *, bound_to: Sequence[str]) -> bytes:
            secret = super().unseal(sealed, bound_to=bound_to)
            here.set("two")
            return secret

    here.set("one")
    resealed = ResealCredentials(here.store, Interrupted(["k2", "k1"]), here.clock).run()
    assert [failure.endswith("run it again") for failure in resealed.failed] == [True]
    assert here.accepted() == (b"two",)


def test_without_a_key_nothing_is_sealed_anew_and_the_operator_is_told(here: Here) -> None:
    class Keyless(InMemorySealer):
        def is_current(self, sealed: SealedText) -> bool:
            raise DeclarationError("there is no key")

    here.set("one")
    with pytest.raises(DeclarationError, match="there is no key"):
        ResealCredentials(here.store, Keyless([]), here.clock).run()


@pytest.mark.parametrize("name", ["", "Shop", "shop/eu", "-shop", "shop.", "s" * 65, "schön", "a b"])
def test_a_system_has_a_plain_name(name: str) -> None:
    with pytest.raises(DeclarationError, match="lower-case letters"):
        system_name(name)
    assert system_name("shop.eu_2-x") == "shop.eu_2-x"


class Account(BaseModel):
    user: str
    password: SecretStr

    @field_validator("password")
    @classmethod
    def _long(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 4:
            raise ValueError(f"{value.get_secret_value()} is too short")
        return value


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (SECRET, "json_invalid in all of it"),
        (f'"{SECRET}"', "model_type in all of it"),
        (f'{{"user": "{SECRET}"}}', "missing in 'password'"),
        (f'{{"user": ["{SECRET}"], "password": "{SECRET}"}}', "string_type in 'user'"),
        ('{"user": "u", "password": "Zq8"}', "value_error in 'password'"),
    ],
)
def test_what_does_not_fit_is_told_by_the_fields_of_the_model_alone(secret: str, said: str) -> None:
    with pytest.raises(InvalidPayloadError) as refused:
        credentials_as(Account, secret.encode(), where="credentials")
    assert str(refused.value) == f"credentials: no valid Account: {said}"
    assert (refused.value.__cause__, refused.value.__context__) == (None, None)


def test_a_name_that_came_with_the_secret_is_not_repeated() -> None:
    class Strict(BaseModel, extra="forbid"):
        user: str

    with pytest.raises(InvalidPayloadError) as refused:
        credentials_as(Strict, f'{{"user": "u", "{SECRET}": 1}}'.encode(), where="credentials")
    assert str(refused.value).endswith("extra_forbidden in what is no field of it")


SHOP_ACCOUNT = ApiCredentials("shop", Account)


class Fetch(ProcessorInterface):
    """Uses credentials, as a client of somebody's API does."""

    def __init__(self) -> None:
        self.used: list[str] = []
        self.accepted: list[list[str]] = []

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.used.append(SHOP_ACCOUNT.get().password.get_secret_value())
        self.accepted.append([one.password.get_secret_value() for one in SHOP_ACCOUNT.all()])
        return ProcessingResult.create_success()


@pytest.fixture
def fetch() -> Fetch:
    return Fetch()


@pytest.fixture
def harness(fetch: Fetch) -> Harness:
    exchange = Exchange("shop", tenants=[ACME, UMBRELLA])
    exchange.queue("fetch", "inbox", fetch)
    return Harness(exchange)


def test_each_tenant_s_call_reads_its_own(harness: Harness, fetch: Fetch) -> None:
    harness.set_credentials("shop", {"user": "u", "password": "of-acme"}, tenant=ACME)
    harness.set_credentials("shop", b'{"user": "u", "password": "of-umbrella"}', tenant=UMBRELLA)
    for tenant in (ACME, UMBRELLA):
        harness.send("inbox", {}, tenant=tenant)
    harness.run()
    assert sorted(fetch.used) == ["of-acme", "of-umbrella"]
    assert all(accepted == [used] for used, accepted in zip(fetch.used, fetch.accepted, strict=True))


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (
            None,
            "tenant 'acme' has no credentials for 'shop': `api-exchange credentials set acme shop` mends it",
        ),
        (
            b"{}",
            "missing in 'user', missing in 'password'; `api-exchange credentials set acme shop` sets them right",
        ),
    ],
    ids=["missing", "wrong"],
)
def test_messages_wait_for_what_is_missing_or_wrong_and_spend_no_attempt(
    harness: Harness, fetch: Fetch, kept: bytes | None, said: str
) -> None:
    if kept is not None:
        harness.set_credentials("shop", kept, tenant=ACME)
    harness.send("inbox", {}, tenant=ACME)
    with pytest.raises(RuntimeError, match="was not at rest"):
        harness.run(max_messages=3)
    assert {(one.outcome, one.attempt) for one in harness.handled} == {("deferred", 1)}
    problem = harness.handled[0].problem
    assert problem is not None
    assert said in problem.reason
    harness.set_credentials("shop", {"user": "u", "password": "right"}, tenant=ACME)
    harness.run()
    assert fetch.used == ["right"]


def test_a_key_that_is_missing_holds_messages_up_and_kills_none(fetch: Fetch) -> None:
    here, exchange = Here(), Exchange("shop", tenants=[ACME])
    exchange.queue("fetch", "inbox", fetch)
    services = Harness(exchange)._handler.runner.services
    here.set('{"user": "u", "password": "right"}')
    here.sealer.use(["k2"])
    with replace(services, credentials=here.reader).at_work(), tenant_context(ACME):
        with pytest.raises(DeferError, match="'k1'") as waiting:
            SHOP_ACCOUNT.get()
        assert waiting.value.delay == timedelta(minutes=1)
        here.sealer.use(["k2", "k1"])
        assert SHOP_ACCOUNT.get().password.get_secret_value() == "right"


def test_whoever_verifies_accepts_the_one_before_as_well(harness: Harness, fetch: Fetch) -> None:
    harness.set_credentials("shop", {"user": "u", "password": "one!"}, tenant=ACME)
    harness._keep.rotate(ACME, SHOP, b'{"user": "u", "password": "two!"}', by="bob", on_version=1, keep=HOUR)
    harness.send("inbox", {}, tenant=ACME)
    harness.run()
    assert (fetch.used, fetch.accepted) == (["two!"], [["two!", "one!"]])


def test_outside_of_calls_it_is_refused_and_says_what_to_do() -> None:
    with tenant_context(ACME), pytest.raises(DeclarationError, match="at_work"):
        SHOP_ACCOUNT.get()
    with pytest.raises(TenantError, match="no tenant"):
        SHOP_ACCOUNT.get()


def test_a_declaration_that_cannot_work_is_refused() -> None:
    assert repr(SHOP_ACCOUNT) == "ApiCredentials('shop', Account)"
    with pytest.raises(DeclarationError, match="is no name of a system"):
        ApiCredentials("Shop", Account)
    with pytest.raises(DeclarationError, match="a pydantic model"):
        ApiCredentials("shop", dict)  # type: ignore[type-var]  # what a type checker refuses as well


@pytest.mark.parametrize("wrong", [{"version": 0}, {"previous_until": START}])
def test_credentials_that_make_no_sense_cannot_be_made(wrong: dict[str, object]) -> None:
    values = {
        "tenant_id": ACME,
        "system": SHOP,
        "version": 1,
        "sealed": "v1.k.x",
        "set_at": START,
        "set_by": "ann",
    }
    with pytest.raises(ValueError, match=r"versions of credentials|no previous credentials"):
        SealedCredentials(**{**values, **wrong})  # type: ignore[arg-type]  # wrong on purpose


def test_what_is_no_sealed_text_names_no_key() -> None:
    assert key_id_of(SealedText("v1.k1.AAAA")) == "k1"
    assert key_id_of(SealedText("nonsense")) is None
