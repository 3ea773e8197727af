"""Tokens of many instances over one store, by virtual clocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.adapters.system.randomness import SystemRandomness
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.application.api_tokens import ApiTokens
from api_exchange_core.application.held_tokens import MOST_HELD, HeldTokens
from api_exchange_core.application.token_plan import CallableGrant, TokenPlan
from api_exchange_core.domain.api_token import MOST_REFUSALS, TokenId, TokenKey, TokenPool, TokenUse
from api_exchange_core.domain.deadline import NO_DEADLINE, Deadline
from api_exchange_core.domain.errors import (
    DeclarationError,
    DeferError,
    ExchangeError,
    PermanentError,
    RetryableError,
    TransientError,
)
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.secret import Secret
from api_exchange_core.domain.token_answer import TokenAnswer
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.sealer import SealedText, Sealer
from api_exchange_core.ports.token_grant import TokenGrant, TokenRefusedError
from api_exchange_core.ports.token_store import NewToken, Takeover, TokenLease, TokenState
from api_exchange_testing import RecordingObserver, SeededRandomness, VirtualClock
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.memory.sleeper import VirtualSleeper
from api_exchange_testing.memory.token_store import InMemoryTokenStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = TokenKey(TenantId("customer-a"), "shop", "orders")
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


class WrappingSealer(Sealer):
    """Writes what it is bound to beside the secret, so that a mix-up shows."""

    def seal(self, secret: bytes, *, bound_to: Sequence[str]) -> SealedText:
        return SealedText("|".join([*bound_to, secret.hex()]))

    def unseal(self, sealed: SealedText, *, bound_to: Sequence[str]) -> bytes:
        *bound, secret = sealed.split("|")
        if bound != list(bound_to):
            raise PermanentError("sealed for something else")
        return bytes.fromhex(secret)

    def is_current(self, sealed: SealedText) -> bool:
        return True


@dataclass
class Vendor(TokenGrant):
    """Issues tokens, and knows which of them live."""

    clock: Clock
    life: timedelta = HOUR
    takes: timedelta = SECOND
    is_repeatable: bool = True
    timeout: timedelta = timedelta(seconds=10)
    meanwhile: Callable[[], object] = lambda: None
    asked: list[str | None] = field(default_factory=list)
    issued: list[tuple[str, datetime]] = field(default_factory=list)

    def ask(self, refresh_token: Secret | None) -> TokenAnswer:
        number = len(self.asked)
        self.asked.append(None if refresh_token is None else refresh_token.reveal())
        assert isinstance(self.clock, VirtualClock)
        self.issued.append((f"token-{number}", self.clock.now() + self.life))
        self.clock.advance(self.takes)
        self.meanwhile()
        return TokenAnswer(
            Secret(f"token-{number}"), self.life, None if self.is_repeatable else Secret(f"refresh-{number}")
        )

    def lives(self, token: str) -> bool:
        return dict(self.issued)[token] > self.clock.now()

    def live(self) -> int:
        return sum(end > self.clock.now() for _, end in self.issued)


@dataclass
class Skewed(Clock):
    true: VirtualClock
    by: timedelta

    def now(self) -> datetime:
        return self.true.now() + self.by


@dataclass
class Deployment:
    """Instances over one store."""

    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOW))
    store: InMemoryTokenStore = field(init=False)
    vendor: Vendor = field(init=False)
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    sealer: Sealer = field(default_factory=WrappingSealer)
    instances: int = 0

    def __post_init__(self) -> None:
        self.store = InMemoryTokenStore(self.clock)
        self.vendor = Vendor(self.clock)

    def instance(self, *, skew: timedelta = timedelta(0)) -> ApiTokens:
        self.instances += 1
        return ApiTokens(
            self.store,
            self.sealer,
            Skewed(self.clock, skew),
            VirtualSleeper(self.clock),
            SeededRandomness(self.instances),
            self.observer,
        )

    def plan(self, *, pool: TokenPool | None = None, use: TokenUse | None = None) -> TokenPlan:
        return TokenPlan(grant=self.vendor, pool=pool, use=TokenUse() if use is None else use)

    def token(self, instance: ApiTokens, *, deadline: Deadline = NO_DEADLINE) -> str:
        return instance.get(KEY, self.plan(), deadline).token.reveal()


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


def test_the_first_call_gets_a_token_and_all_others_share_it(deployment: Deployment) -> None:
    first, second = deployment.instance(), deployment.instance()
    tokens = [deployment.token(instance) for instance in (first, first, second, second)]
    assert tokens == ["token-0"] * 4
    assert len(deployment.vendor.asked) == 1


def test_tenants_have_tokens_of_their_own(deployment: Deployment) -> None:
    instance = deployment.instance()
    other = TokenKey(TenantId("customer-b"), "shop", "orders")
    plan = deployment.plan()
    assert instance.get(KEY, plan).token != instance.get(other, plan).token


def test_the_life_that_the_vendor_says_is_the_life_that_a_token_has(deployment: Deployment) -> None:
    instance = deployment.instance()
    for life in (timedelta(minutes=1), HOUR, timedelta(days=1)):
        deployment.vendor.life = life
        deployment.clock.advance(timedelta(days=2))
        token = deployment.token(instance)
        deployment.clock.advance(life * 0.6)
        assert deployment.token(instance) == token
        deployment.clock.advance(life)
        assert deployment.token(instance) != token


def test_shortly_before_its_end_one_asks_and_the_others_go_on(deployment: Deployment) -> None:
    first, second = deployment.instance(), deployment.instance()
    old = deployment.token(first)
    assert deployment.token(second) == old
    deployment.clock.advance(HOUR - timedelta(minutes=2))
    others: list[str] = []
    deployment.vendor.meanwhile = lambda: others.extend([deployment.token(first), deployment.token(second)])
    new = deployment.token(first)
    assert (others, new) == ([old, old], "token-1")
    deployment.clock.advance(timedelta(seconds=10))
    assert deployment.token(second) == new
    assert len(deployment.vendor.asked) == 2


def test_instances_do_not_all_look_for_the_next_one_at_once(deployment: Deployment) -> None:
    instances = [deployment.instance() for _ in range(8)]
    until = {instance.get(KEY, deployment.plan()).fresh_until for instance in instances}
    assert len(until) == 8
    assert max(until) - min(until) > timedelta(seconds=30)


@pytest.mark.parametrize("error", [RetryableError("503"), ValueError("of an application's own grant")])
def test_a_vendor_in_trouble_harms_nobody_as_long_as_the_token_is_valid(
    deployment: Deployment, error: Exception
) -> None:
    instance = deployment.instance()
    old = deployment.token(instance)
    deployment.clock.advance(HOUR - timedelta(minutes=2))

    def fail() -> None:
        raise error

    deployment.vendor.meanwhile = fail
    assert deployment.token(instance) == old
    assert deployment.token(instance) == old
    assert len(deployment.vendor.asked) == 2  # and it is not asked again at once


@pytest.mark.parametrize("behind", [timedelta(seconds=-30), timedelta(seconds=30)])
def test_clocks_that_differ_neither_shorten_nor_lengthen_a_token(
    deployment: Deployment, behind: timedelta
) -> None:
    right, wrong = deployment.instance(), deployment.instance(skew=behind)
    use = TokenUse(ahead=timedelta(0), leeway=SECOND)
    plan = deployment.plan(use=use)
    token = right.get(KEY, plan).token
    assert wrong.get(KEY, plan).token == token
    deployment.clock.advance(HOUR - timedelta(seconds=4))
    assert wrong.get(KEY, plan).token == token
    deployment.clock.advance(timedelta(seconds=3))
    assert wrong.get(KEY, plan).token != token
    assert len(deployment.vendor.asked) == 2


@pytest.mark.parametrize("skew", [timedelta(seconds=-30), timedelta(0), timedelta(seconds=30)])
def test_while_one_asks_another_instance_waits_for_it(deployment: Deployment, skew: timedelta) -> None:
    first, second = deployment.instance(), deployment.instance(skew=skew)
    lease = deployment.store.claim(
        KEY,
        slot=0,
        seen=None,
        owner="elsewhere",
        lease=deployment.plan().lease,
        takeover=deployment.plan().takeover,
    )
    assert lease is not None
    began = deployment.clock.now()
    assert deployment.token(second) == "token-0"  # the leader died, and its lease ran out
    assert deployment.plan().lease <= deployment.clock.now() - began < deployment.plan().lease + 3 * SECOND
    assert deployment.token(first) == "token-0"
    waits = [wait.waited >= timedelta(seconds=15) for wait in deployment.observer.token_waits]
    assert waits == [True, False]  # the other instance found it in the store


def test_nobody_waits_beyond_its_deadline(deployment: Deployment) -> None:
    plan = deployment.plan()
    deployment.store.claim(KEY, slot=0, seen=None, owner="else", lease=plan.lease, takeover=plan.takeover)
    instance = deployment.instance()
    at = deployment.clock.now() + timedelta(seconds=5)
    with pytest.raises(DeferError, match="no time to wait"):
        deployment.token(instance, deadline=Deadline(at))
    assert [one.api for one in deployment.observer.token_waits] == [KEY.api]
    assert deployment.clock.now() < at
    with pytest.raises(DeferError):
        deployment.token(instance, deadline=Deadline(is_called_off=lambda: True))


def test_who_has_too_little_time_does_not_begin_to_ask(deployment: Deployment) -> None:
    at = deployment.clock.now() + timedelta(seconds=9)
    with pytest.raises(DeferError, match=r"may take 10 s.*more time, or the grant a shorter timeout"):
        deployment.token(deployment.instance(), deadline=Deadline(at))
    assert deployment.vendor.asked == []


def test_patience_ends(deployment: Deployment) -> None:
    plan = TokenPlan(grant=deployment.vendor, patience=timedelta(seconds=3))
    deployment.store.claim(KEY, slot=0, seen=None, owner="else", lease=plan.lease, takeover=plan.takeover)
    with pytest.raises(DeferError):
        deployment.instance().get(KEY, plan)
    assert deployment.clock.now() - NOW <= timedelta(seconds=3)


def test_a_late_leader_takes_the_token_of_its_successor(deployment: Deployment) -> None:
    late, successor = deployment.instance(), deployment.instance()
    others: list[str] = []

    def stand_still() -> None:
        deployment.vendor.meanwhile = lambda: None
        deployment.clock.advance(deployment.plan().lease)
        others.append(deployment.token(successor))

    deployment.vendor.meanwhile = stand_still
    assert deployment.token(late) == "token-1"
    assert others == ["token-1"]
    assert deployment.store.read(KEY)[0].generation == 1


def test_what_was_declared_invalid_is_handed_out_no_more(deployment: Deployment) -> None:
    first, second = deployment.instance(), deployment.instance()
    held = first.get(KEY, deployment.plan())
    assert second.get(KEY, deployment.plan()).token_id == held.token_id
    assert first.invalidate(KEY, held.token_id)
    assert deployment.token(first) == "token-1"
    assert not second.invalidate(KEY, held.token_id)  # which has heard of it from the vendor, too
    assert deployment.token(second) == "token-1"
    assert len(deployment.vendor.asked) == 2


def test_a_token_that_another_thread_reads_while_it_is_being_refused_is_not_handed_out_again(
    deployment: Deployment,
) -> None:
    others: list[str] = []

    class SlowToInvalidate(InMemoryTokenStore):
        def invalidate(self, key: TokenKey, token_id: TokenId) -> bool:
            deployment.vendor.meanwhile = lambda: None
            others.append(deployment.token(instance))  # before the store has heard of it
            return super().invalidate(key, token_id)

    deployment.store = SlowToInvalidate(deployment.clock)
    instance = deployment.instance()
    refused = instance.get(KEY, deployment.plan())
    instance.invalidate(KEY, refused.token_id)
    assert others == ["token-1"]
    assert deployment.token(instance) == "token-1"
    assert len(deployment.vendor.asked) == 2


def test_a_token_that_was_read_before_it_was_refused_is_not_kept(deployment: Deployment) -> None:
    class RefusedMeanwhile(InMemoryTokenStore):
        due = False

        def read(self, key: TokenKey) -> Mapping[int, TokenState]:
            states = super().read(key)
            if self.due:
                self.due = False
                instance.invalidate(key, TokenId(str(states[0].token_id)))
            return states

    deployment.store = store = RefusedMeanwhile(deployment.clock)
    deployment.token(deployment.instance())
    instance = deployment.instance()
    store.due = True
    assert deployment.token(instance) == "token-1"
    assert len(deployment.vendor.asked) == 2


def test_a_refusal_that_the_store_has_not_heard_of_can_be_said_again(deployment: Deployment) -> None:
    class OutOfReach(InMemoryTokenStore):
        times = 1

        def invalidate(self, key: TokenKey, token_id: TokenId) -> bool:
            self.times -= 1
            if self.times == 0:
                raise TransientError("out of reach")
            return super().invalidate(key, token_id)

    deployment.store = OutOfReach(deployment.clock)
    instance, plan = deployment.instance(), deployment.plan(pool=TokenPool(max_active=1))
    held = instance.get(KEY, plan)
    with pytest.raises(TransientError):
        instance.invalidate(KEY, held.token_id)
    assert instance.get(KEY, plan).token_id == held.token_id
    assert instance.invalidate(KEY, held.token_id)
    assert instance.get(KEY, plan).token_id != held.token_id


def test_a_token_that_has_ended_when_it_arrives_is_not_handed_out(deployment: Deployment) -> None:
    deployment.vendor.life, deployment.vendor.takes = 5 * SECOND, 6 * SECOND
    with pytest.raises(RetryableError, match="took too long"):
        deployment.token(deployment.instance())
    deployment.vendor.takes = SECOND
    assert deployment.token(deployment.instance()) == "token-1"


def test_a_clock_that_is_set_back_makes_no_token_younger(deployment: Deployment) -> None:
    local = Skewed(deployment.clock, timedelta(0))
    instance = ApiTokens(
        deployment.store,
        deployment.sealer,
        local,
        VirtualSleeper(deployment.clock),
        SeededRandomness(1),
        deployment.observer,
    )
    deployment.token(instance)
    local.by = timedelta(hours=-5)
    deployment.clock.advance(HOUR)
    assert deployment.token(instance) == "token-1"


def test_tokens_in_memory_are_as_many_as_fit_and_no_more(deployment: Deployment) -> None:
    held = deployment.instance().get(KEY, deployment.plan())
    tokens = HeldTokens(deployment.clock)
    keys = [TokenKey(TenantId(f"customer-{number}"), "shop") for number in range(MOST_HELD + 1)]
    assert all(tokens.hold(key, held) for key in keys)
    assert tokens.fresh(keys[0]) is None
    assert tokens.fresh(keys[1]) is tokens.fresh(keys[-1]) is held


def test_a_refusal_opens_the_circuit_for_all_and_each_time_for_longer(deployment: Deployment) -> None:
    first, second = deployment.instance(), deployment.instance()

    def refuse() -> None:
        raise TokenRefusedError("401 invalid_client", final=True)

    deployment.vendor.meanwhile = refuse
    bars = []
    for _ in range(4):
        with pytest.raises(DeferError, match="invalid_client") as put_off:
            deployment.token(first)
        bars.append(put_off.value.delay)
        asked = len(deployment.vendor.asked)
        with pytest.raises(DeferError, match="left alone"):
            deployment.token(second)
        assert len(deployment.vendor.asked) == asked
        deployment.clock.advance(put_off.value.delay)
    assert [bar.total_seconds() for bar in bars] == [5, 10, 20, 40]
    deployment.vendor.meanwhile = lambda: None
    assert deployment.token(second) == "token-4"
    assert deployment.store.read(KEY)[0].failures == 0


def test_a_late_leader_that_is_refused_takes_the_token_of_its_successor(deployment: Deployment) -> None:
    late, successor = deployment.instance(), deployment.instance()

    def stand_still() -> None:
        deployment.vendor.meanwhile = lambda: None
        deployment.clock.advance(deployment.plan().lease)
        deployment.token(successor)
        raise TokenRefusedError("429")

    deployment.vendor.meanwhile = stand_still
    assert deployment.token(late) == "token-1"
    assert deployment.store.read(KEY)[0].failures == 0


def test_what_is_refused_again_and_again_is_somebodys_to_mend(deployment: Deployment) -> None:
    instance = deployment.instance()

    def refuse() -> None:
        raise TokenRefusedError("401 invalid_client", final=True)

    deployment.vendor.meanwhile = refuse
    for _ in range(MOST_REFUSALS - 1):
        with pytest.raises(DeferError) as put_off:
            deployment.token(instance)
        deployment.clock.advance(put_off.value.delay)
    with pytest.raises(PermanentError, match="tokens reset"):
        deployment.token(instance)
    assert deployment.store.reset(KEY) == 1
    deployment.vendor.meanwhile = lambda: None
    assert deployment.token(instance).startswith("token-")


def test_a_pause_that_the_vendor_asks_for_is_kept_and_not_slept(deployment: Deployment) -> None:
    def throttle() -> None:
        raise TokenRefusedError("429", retry_after=HOUR)

    deployment.vendor.meanwhile = throttle
    with pytest.raises(DeferError) as put_off:
        deployment.token(deployment.instance())
    assert put_off.value.delay == HOUR
    assert deployment.clock.now() - NOW < timedelta(seconds=2)


@pytest.mark.parametrize("error", [RetryableError("reset"), TransientError("no token"), ValueError("a bug")])
def test_a_failure_is_raised_as_it_is_and_pauses_everybody(deployment: Deployment, error: Exception) -> None:
    def fail() -> None:
        raise error

    deployment.vendor.meanwhile = fail
    with pytest.raises(type(error)) as raised:
        deployment.token(deployment.instance())
    assert raised.value is error
    with pytest.raises(DeferError) as put_off:
        deployment.token(deployment.instance())
    assert put_off.value.delay == SECOND


def test_what_cannot_be_unsealed_any_more_is_replaced(deployment: Deployment) -> None:
    deployment.token(deployment.instance())

    class OtherKey(WrappingSealer):
        def unseal(self, sealed: SealedText, *, bound_to: Sequence[str]) -> bytes:
            raise PermanentError("key 'old' is not known any more")

    deployment.sealer = OtherKey()
    assert deployment.token(deployment.instance()) == "token-1"


def test_without_keys_the_vendor_is_not_even_asked(deployment: Deployment) -> None:
    class NoKey(WrappingSealer):
        def seal(self, secret: bytes, *, bound_to: Sequence[str]) -> SealedText:
            raise DeclarationError("there is no key")

    deployment.sealer = NoKey()
    for _ in range(2):
        with pytest.raises(DeclarationError):
            deployment.token(deployment.instance())
    assert deployment.vendor.asked == []


def test_a_store_that_hiccups_does_not_cost_a_token(deployment: Deployment) -> None:
    class Hiccup(InMemoryTokenStore):
        times = 3

        def store(self, lease: TokenLease, token: NewToken) -> bool:
            self.times -= 1
            if self.times == 2:  # it was stored, and nobody heard of it
                super().store(lease, token)
            if self.times >= 1:
                raise TransientError("connection lost")
            return super().store(lease, token)

    deployment.store = Hiccup(deployment.clock)
    assert deployment.token(deployment.instance()) == "token-0"
    assert deployment.token(deployment.instance()) == "token-0"


# Refresh tokens that are used once


@pytest.fixture
def rotating(deployment: Deployment) -> Deployment:
    deployment.vendor.is_repeatable = False
    return deployment


def test_each_exchange_uses_the_refresh_token_of_the_one_before(rotating: Deployment) -> None:
    for _ in range(3):
        rotating.token(rotating.instance())
        rotating.clock.advance(HOUR)
    assert rotating.vendor.asked == [None, "refresh-0", "refresh-1"]
    assert "refresh-2" not in repr(rotating.store.read(KEY)[0].token_id)


class Killed(BaseException):
    """The instance ends here."""


def test_an_exchange_that_nobody_ended_is_not_repeated_until_an_operator_says_so(
    rotating: Deployment,
) -> None:
    rotating.token(rotating.instance())
    rotating.clock.advance(HOUR)

    def die() -> None:
        raise Killed

    rotating.vendor.meanwhile = die
    with pytest.raises(Killed):
        rotating.token(rotating.instance())
    rotating.vendor.meanwhile = lambda: None
    with pytest.raises(PermanentError, match=r"never ended.*tokens reset customer-a shop --scope 'orders'"):
        rotating.token(rotating.instance())
    assert rotating.vendor.asked == [None, "refresh-0"]
    rotating.store.reset(KEY, forget_refresh=True)
    assert rotating.token(rotating.instance()) == "token-2"
    assert rotating.vendor.asked == [None, "refresh-0", None]


def test_an_answer_that_was_lost_counts_as_used_up(rotating: Deployment) -> None:
    def lose() -> None:
        raise RetryableError("read timed out")

    rotating.vendor.meanwhile = lose
    with pytest.raises(RetryableError):
        rotating.token(rotating.instance())
    with pytest.raises(PermanentError, match="may be used up"):
        rotating.token(rotating.instance())


def test_a_refusal_uses_nothing_up(rotating: Deployment) -> None:
    def refuse() -> None:
        raise TokenRefusedError("503")

    rotating.vendor.meanwhile = refuse
    with pytest.raises(DeferError) as put_off:
        rotating.token(rotating.instance())
    rotating.clock.advance(put_off.value.delay)
    rotating.vendor.meanwhile = lambda: None
    assert rotating.token(rotating.instance()) == "token-1"


def test_a_refusal_that_the_store_hears_of_late_uses_nothing_up_either(rotating: Deployment) -> None:
    class Hiccup(InMemoryTokenStore):
        times = 3

        def give_back(
            self,
            lease: TokenLease,
            *,
            failed: bool,
            bar: timedelta = timedelta(0),
            live_for: timedelta = timedelta(0),
        ) -> bool:
            self.times -= 1
            if self.times > 0:
                raise TransientError("connection lost")
            return super().give_back(lease, failed=failed, bar=bar, live_for=live_for)

    def refuse() -> None:
        raise TokenRefusedError("503")

    rotating.store = Hiccup(rotating.clock)
    rotating.vendor.meanwhile = refuse
    with pytest.raises(DeferError):
        rotating.token(rotating.instance())
    rotating.clock.advance(timedelta(minutes=1))
    rotating.vendor.meanwhile = lambda: None
    assert rotating.token(rotating.instance()) == "token-1"


class Crashing(InMemoryTokenStore):
    """Ends the instance before or after a change, once."""

    at: str | None = None

    def claim(  # the signature of the port
        self,
        key: TokenKey,
        *,
        slot: int,
        seen: TokenId | None,
        owner: str,
        lease: timedelta,
        takeover: Takeover,
    ) -> TokenLease | None:
        self._die("before claim")
        claimed = super().claim(key, slot=slot, seen=seen, owner=owner, lease=lease, takeover=takeover)
        self._die("after claim")
        return claimed

    def store(self, lease: TokenLease, token: NewToken) -> bool:
        self._die("before store")
        stored = super().store(lease, token)
        self._die("after store")
        return stored

    def _die(self, here: str) -> None:
        if self.at == here:
            self.at = None
            raise Killed


@pytest.mark.parametrize(
    ("crash", "is_told", "presented"),
    [
        ("before claim", False, ["refresh-0"]),
        ("after claim", True, ["refresh-0"]),  # nobody can know that it was not sent yet
        ("at the vendor", True, ["refresh-0", "refresh-0"]),  # the second time because an operator said so
        ("before store", True, ["refresh-0", "refresh-0"]),
        ("after store", False, ["refresh-0"]),
    ],
)
def test_wherever_an_instance_dies_no_refresh_token_is_sent_twice_unasked(
    rotating: Deployment, crash: str, is_told: bool, presented: Sequence[str]
) -> None:
    rotating.store = store = Crashing(rotating.clock)
    rotating.token(rotating.instance())
    rotating.clock.advance(HOUR)

    def die() -> None:
        rotating.vendor.meanwhile = lambda: None
        raise Killed

    if crash == "at the vendor":
        rotating.vendor.meanwhile = die
    store.at = crash
    with pytest.raises(Killed):
        rotating.token(rotating.instance())
    if is_told:
        for _ in range(3):
            with pytest.raises(PermanentError, match="tokens reset"):
                rotating.token(rotating.instance())
            rotating.clock.advance(HOUR)
        assert rotating.vendor.asked.count("refresh-0") == len(presented) - 1
        assert store.reset(KEY) == 1
    rotating.token(rotating.instance())
    assert [asked for asked in rotating.vendor.asked if asked == "refresh-0"] == presented


def test_a_leader_that_was_only_slow_ends_its_exchange_after_all(rotating: Deployment) -> None:
    slow, other = rotating.instance(), rotating.instance()

    def stand_still() -> None:
        rotating.clock.advance(timedelta(minutes=10))
        with pytest.raises(PermanentError):
            rotating.token(other)

    rotating.vendor.meanwhile = stand_still
    assert rotating.token(slow) == "token-0"
    rotating.vendor.meanwhile = lambda: None
    assert rotating.token(other) == "token-0"


def test_the_client_that_died_is_followed_by_the_next_where_asking_twice_does_no_harm(
    deployment: Deployment,
) -> None:
    def die() -> None:
        raise Killed

    deployment.vendor.meanwhile = die
    with pytest.raises(Killed):
        deployment.token(deployment.instance())
    deployment.vendor.meanwhile = lambda: None
    assert deployment.token(deployment.instance()) == "token-1"


# Pools


def test_a_pool_gives_instances_tokens_of_their_own_until_it_is_full(deployment: Deployment) -> None:
    plan = deployment.plan(pool=TokenPool(max_active=3))
    instances = [deployment.instance() for _ in range(30)]
    used = [instance.get(KEY, plan).token.reveal() for instance in instances]
    assert len(set(used[:3])) == 3
    assert len(set(used)) == 3
    assert all(used.count(token) >= 4 for token in set(used))


def test_in_a_pool_a_token_of_unsaid_life_counts_for_as_long_as_a_token_may_live(
    deployment: Deployment,
) -> None:
    issued: list[datetime] = []

    def ask() -> TokenAnswer:
        issued.append(deployment.clock.now())
        return TokenAnswer.of(f"token-{len(issued)}")

    plan = TokenPlan(grant=CallableGrant(ask), pool=TokenPool(max_active=1, lifetime=HOUR))
    deployment.instance().get(KEY, plan)
    deployment.clock.advance(timedelta(minutes=30))
    with pytest.raises(DeferError):
        deployment.instance().get(KEY, plan)
    deployment.clock.advance(HOUR)
    deployment.instance().get(KEY, plan)
    assert issued[1] - issued[0] > HOUR


def test_in_a_pool_what_a_dead_instance_asked_for_counts_by_the_vendors_clock_too(
    deployment: Deployment,
) -> None:
    def die() -> None:
        raise Killed

    plan = deployment.plan(pool=TokenPool(max_active=1, lifetime=HOUR, skew=timedelta(minutes=2)))
    deployment.vendor.meanwhile = die
    with pytest.raises(Killed):
        deployment.instance().get(KEY, plan)
    deployment.vendor.meanwhile = lambda: None
    deployment.clock.advance(HOUR + timedelta(minutes=1))
    with pytest.raises(DeferError):
        deployment.instance().get(KEY, plan)
    deployment.clock.advance(timedelta(minutes=2))
    assert deployment.instance().get(KEY, plan).token.reveal() == "token-1"


@dataclass
class StallingSealer(WrappingSealer):
    """The first time that it seals, whoever asked it stands still, and others go on."""

    meanwhile: Callable[[], object] = lambda: None

    def seal(self, secret: bytes, *, bound_to: Sequence[str]) -> SealedText:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return super().seal(secret, bound_to=bound_to)


def test_in_a_pool_whoever_stood_still_with_the_lease_does_not_ask_beside_its_successor(
    deployment: Deployment,
) -> None:
    plan = deployment.plan(pool=TokenPool(max_active=1, lifetime=HOUR))

    def stand_still() -> None:
        deployment.clock.advance(2 * HOUR)
        deployment.instance().get(KEY, plan)

    deployment.sealer = StallingSealer(meanwhile=stand_still)
    late = deployment.instance()
    with pytest.raises(DeferError):  # its patience is over, too
        late.get(KEY, plan)
    assert deployment.vendor.live() == 1
    assert late.get(KEY, plan).token.reveal() == "token-0"  # its successor's


def test_whoever_comes_too_late_to_ask_within_its_lease_gives_it_back_and_begins_again(
    deployment: Deployment,
) -> None:
    plan = deployment.plan(pool=TokenPool(max_active=1, lifetime=HOUR))
    deployment.sealer = StallingSealer(meanwhile=lambda: deployment.clock.advance(20 * SECOND))
    assert deployment.instance().get(KEY, plan).token.reveal() == "token-0"
    assert deployment.clock.now() - NOW < 22 * SECOND
    assert [event.name for event in deployment.observer.events] == ["token.late"]


class PoolMachine(RuleBasedStateMachine):
    """Instances that live and die, answers that get lost, clocks that differ: the vendor counts."""

    @initialize(most=st.integers(1, 3))
    def begin(self, most: int) -> None:
        self.deployment = Deployment()
        self.vendor = self.deployment.vendor
        self.most = most
        self.plan = self.deployment.plan(pool=TokenPool(max_active=most, lifetime=HOUR))
        self.instances = [self.deployment.instance(skew=skew * SECOND) for skew in (-30, 0, 0, 30)]

    @rule(number=st.integers(0, 3), fate=st.sampled_from([None, None, RetryableError("lost"), Killed()]))
    def get(self, number: int, fate: BaseException | None) -> None:
        def meanwhile() -> None:
            if fate is not None:
                raise fate

        self.vendor.meanwhile = meanwhile
        with suppress(TransientError, Killed):
            held = self.instances[number].get(KEY, self.plan)
            assert self.vendor.lives(held.token.reveal())

    @rule(number=st.integers(0, 3))
    def die(self, number: int) -> None:
        self.instances[number] = self.deployment.instance()

    @rule(minutes=st.integers(1, 70))
    def wait(self, minutes: int) -> None:
        self.deployment.clock.advance(timedelta(minutes=minutes))

    @rule(number=st.integers(0, 3))
    def refused_by_the_vendor(self, number: int) -> None:
        """The vendor ends a token, and whoever used it says so."""
        self.vendor.meanwhile = lambda: None
        with suppress(TransientError):
            held = self.instances[number].get(KEY, self.plan)
            self.vendor.issued = [
                (token, NOW if token == held.token.reveal() else end) for token, end in self.vendor.issued
            ]
            for instance in self.instances:
                instance.invalidate(KEY, held.token_id)

    @invariant()
    def never_more_than_allowed(self) -> None:
        if hasattr(self, "vendor"):
            assert self.vendor.live() <= self.most


TestAPool = PoolMachine.TestCase


def test_a_pool_and_tokens_that_rotate_do_not_go_together(rotating: Deployment) -> None:
    with pytest.raises(DeclarationError, match="one line"):
        rotating.plan(pool=TokenPool(max_active=2))


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(minutes=6)])
def test_a_grant_that_may_outlast_its_lease_is_refused(deployment: Deployment, timeout: timedelta) -> None:
    deployment.vendor.timeout = timeout
    with pytest.raises(DeclarationError, match="takes a time"):
        deployment.plan()


# Uses


def test_uses_are_counted_without_a_write_a_call(deployment: Deployment) -> None:
    first, second = deployment.instance(), deployment.instance()
    for _ in range(100):
        deployment.token(first)
    deployment.token(second)
    assert deployment.store.read(KEY)[0].uses < 5
    assert first.flush_uses() + second.flush_uses() + deployment.store.read(KEY)[0].uses >= 101
    assert deployment.store.read(KEY)[0].uses == 101


@pytest.mark.parametrize("error", [TransientError("out of reach"), PermanentError("no right to")])
def test_counts_that_are_lost_fail_no_call(deployment: Deployment, error: ExchangeError) -> None:
    class Uncounted(InMemoryTokenStore):
        def count(self, uses: object) -> None:
            raise error

    deployment.store = Uncounted(deployment.clock)
    instance = deployment.instance()
    assert deployment.token(instance) == "token-0"
    deployment.clock.advance(2 * HOUR)
    assert deployment.token(instance) == "token-1"
    assert "token.uses_lost" in [one.name for one in deployment.observer.events]


def test_nothing_to_count_asks_the_store_for_nothing(deployment: Deployment) -> None:
    class Unreachable(InMemoryTokenStore):
        def count(self, uses: object) -> None:
            raise TransientError("out of reach")

    deployment.store = Unreachable(deployment.clock)
    assert deployment.instance().flush_uses() == 0


# In one process


def test_of_the_threads_of_a_process_one_looks_into_the_store(deployment: Deployment) -> None:
    reads: list[TokenKey] = []

    class Watched(InMemoryTokenStore):
        def read(self, key: TokenKey) -> Mapping[int, TokenState]:
            reads.append(key)
            return super().read(key)

    system = SystemClock()
    store = Watched(system)
    instance = ApiTokens(
        store, deployment.sealer, system, SystemSleeper(), SystemRandomness(), deployment.observer
    )
    asked: list[float] = []
    enough = threading.Event()

    def slowly() -> tuple[str, float]:
        asked.append(1)
        enough.wait(0.05)
        return "token-0", 3600

    plan = TokenPlan(grant=CallableGrant(slowly))
    tokens = all_at_once(lambda _: instance.get(KEY, plan).token.reveal(), threads=16)
    assert tokens == ["token-0"] * 16
    assert (len(asked), len(reads)) == (1, 1)


# On an event loop


def test_on_an_event_loop_one_task_asks_and_the_others_wait(deployment: Deployment) -> None:
    instance = deployment.instance()

    async def all_of_them() -> list[str]:
        tasks = [instance.get_async(KEY, deployment.plan()) for _ in range(50)]
        return [held.token.reveal() for held in await asyncio.gather(*tasks)]

    assert asyncio.run(all_of_them()) == ["token-0"] * 50
    assert len(deployment.vendor.asked) == 1


def test_tasks_that_wait_for_a_token_leave_the_threads_of_the_event_loop_to_others(
    deployment: Deployment,
) -> None:
    clock = SystemClock()
    instance = ApiTokens(
        InMemoryTokenStore(clock),
        deployment.sealer,
        clock,
        SystemSleeper(),
        SystemRandomness(),
        deployment.observer,
    )
    all_wait, goes_on = threading.Event(), threading.Event()

    def slowly() -> tuple[str, float]:
        assert goes_on.wait(5)
        return "token-0", 3600

    async def all_of_them() -> list[str]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        busy = [asyncio.ensure_future(asyncio.to_thread(all_wait.wait, 5)) for _ in range(2)]
        await asyncio.sleep(0)
        plan = TokenPlan(grant=CallableGrant(slowly))
        waiting = [asyncio.ensure_future(instance.get_async(KEY, plan)) for _ in range(100)]
        await asyncio.sleep(0)
        all_wait.set()
        await asyncio.gather(*busy)
        await asyncio.to_thread(goes_on.set)
        return [held.token.reveal() for held in await asyncio.gather(*waiting)]

    assert asyncio.run(all_of_them()) == ["token-0"] * 100


def test_a_task_that_is_cancelled_keeps_nobody_from_asking(deployment: Deployment) -> None:
    instance = deployment.instance()

    async def cancelled_and_then() -> str:
        task = asyncio.ensure_future(instance.get_async(KEY, deployment.plan()))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return (await instance.get_async(KEY, deployment.plan())).token.reveal()

    assert asyncio.run(cancelled_and_then()).startswith("token-")


@pytest.fixture(autouse=True)
def nothing_is_told_of_tokens(deployment: Deployment) -> Iterator[None]:
    yield
    told = repr(deployment.observer.events)
    assert not any(text in told for text in ("token-0", "refresh-0", "token-1"))


def test_the_id_of_a_token_says_nothing_of_it(deployment: Deployment) -> None:
    held = deployment.instance().get(KEY, deployment.plan())
    assert held.token_id != TokenId(held.token.reveal())
    assert "token-0" not in repr(held)
