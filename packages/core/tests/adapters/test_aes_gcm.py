"""What is particular to sealing with AES-GCM: its form, and how soon a process knows other keys."""

from __future__ import annotations

import sys
from base64 import b64encode, urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.adapters.crypto.aes_gcm import (
    KEYRING,
    KEYS_MEMORY,
    KEYS_OUTAGE,
    AesGcmSealer,
    _associated,
)
from api_exchange_core.domain.errors import DeclarationError, PermanentError, TransientError
from api_exchange_core.ports.sealer import SealedText, key_id_of
from api_exchange_core.ports.secret_source import SecretSource
from api_exchange_testing import InMemorySecretSource, VirtualClock

OLD, NEW = bytes(32), bytes(range(32))
KEYS = {"old": OLD, "new": NEW}
BOUND_TO = ("credentials", "acme", "shop")
SECRET = b"hunter2Zq81"


class Source(SecretSource):
    """Counts how often it is asked, and can be out of reach."""

    def __init__(self, *keys: str) -> None:
        self.within = InMemorySecretSource()
        self.asked = 0
        self.is_down = False
        self.hold(*keys)

    def hold(self, *keys: str) -> None:
        entries = [f"{key}:{b64encode(KEYS[key]).decode()}" for key in keys]
        self.within.keep(KEYRING, ",".join(entries).encode())

    def secret(self, name: str) -> bytes:
        self.asked += 1
        if self.is_down:
            raise TransientError("the vault does not answer")
        return self.within.secret(name)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
def source() -> Source:
    return Source("old")


@pytest.fixture
def sealer(source: Source, clock: VirtualClock) -> AesGcmSealer:
    return AesGcmSealer(source, clock)


def test_a_text_is_what_the_library_itself_makes_of_key_nonce_and_binding(sealer: AesGcmSealer) -> None:
    form, key_id, encoded = sealer.seal(SECRET, bound_to=BOUND_TO).split(".")
    data = urlsafe_b64decode(encoded + "==")
    # Written out, so that a release cannot change the form without noticing: what is stored must stay readable.
    associated = b"\0\0\0\2v1\0\0\0\3old\0\0\0\x0bcredentials\0\0\0\4acme\0\0\0\4shop"
    assert (form, key_id, len(data)) == ("v1", "old", 12 + len(SECRET) + 16)
    assert AESGCM(OLD).decrypt(data[:12], data[12:], associated) == SECRET


def test_what_was_sealed_once_is_read_by_every_later_release(clock: VirtualClock) -> None:
    sealed = SealedText("v1.new.AAECAwQFBgcICQoLL3e4b6CX8EH8eabTm3lwTxjxP4Q2A51Qlc9J")
    made = AesGcmSealer(Source("new"), clock, nonce=lambda: bytes(range(12))).seal(SECRET, bound_to=BOUND_TO)
    assert made == sealed


@given(st.lists(st.lists(st.text(alphabet="ab\0é", max_size=3), max_size=4), min_size=2, max_size=12))
def test_no_two_bindings_are_the_same_bytes(bindings: list[list[str]]) -> None:
    for one, other in product(bindings, repeat=2):
        assert (_associated("k", one) == _associated("k", other)) == (one == other)
        assert _associated("k", one) != _associated("l", other)


def test_every_text_has_a_nonce_of_its_own(sealer: AesGcmSealer) -> None:
    texts = [sealer.seal(b"", bound_to=()) for _ in range(2_000)]
    assert len({urlsafe_b64decode(text.split(".")[2] + "==")[:12] for text in texts}) == len(texts)


def test_keys_are_read_once_a_minute_however_much_is_sealed(
    sealer: AesGcmSealer, source: Source, clock: VirtualClock
) -> None:
    assert source.asked == 0
    for _ in range(100):
        sealer.unseal(sealer.seal(SECRET, bound_to=BOUND_TO), bound_to=BOUND_TO)
    assert source.asked == 1
    clock.advance(KEYS_MEMORY)
    sealer.seal(SECRET, bound_to=BOUND_TO)
    assert source.asked == 2


def test_a_text_of_a_newer_key_is_opened_before_the_minute_is_over(
    sealer: AesGcmSealer, source: Source, clock: VirtualClock
) -> None:
    sealer.seal(SECRET, bound_to=BOUND_TO)
    source.hold("new", "old")
    clock.advance(timedelta(seconds=5))
    newer = AesGcmSealer(source, clock).seal(SECRET, bound_to=BOUND_TO)
    assert key_id_of(newer) == "new"
    assert sealer.unseal(newer, bound_to=BOUND_TO) == SECRET


def test_texts_that_name_keys_which_nobody_has_do_not_make_a_process_ask_again_and_again(
    sealer: AesGcmSealer, source: Source, clock: VirtualClock
) -> None:
    strange = SealedText(sealer.seal(SECRET, bound_to=BOUND_TO).replace(".old.", ".nobody."))
    for _ in range(100):
        with pytest.raises(PermanentError, match="key 'nobody' is not in the secret 'API_EXCHANGE_KEYS'"):
            sealer.unseal(strange, bound_to=BOUND_TO)
        clock.advance(timedelta(milliseconds=100))
    assert source.asked <= 4


def test_keys_go_on_being_used_for_an_hour_while_their_source_is_out_of_reach(
    sealer: AesGcmSealer, source: Source, clock: VirtualClock
) -> None:
    sealed = sealer.seal(SECRET, bound_to=BOUND_TO)
    source.is_down = True
    clock.advance(KEYS_OUTAGE - timedelta(seconds=1))
    assert sealer.unseal(sealed, bound_to=BOUND_TO) == SECRET
    clock.advance(timedelta(seconds=1))
    with pytest.raises(TransientError):
        sealer.unseal(sealed, bound_to=BOUND_TO)
    source.is_down = False
    assert sealer.unseal(sealed, bound_to=BOUND_TO) == SECRET


def test_a_process_that_never_had_keys_waits_for_their_source(source: Source, clock: VirtualClock) -> None:
    source.is_down = True
    with pytest.raises(TransientError):
        AesGcmSealer(source, clock).seal(SECRET, bound_to=BOUND_TO)


def test_without_a_keyring_the_error_says_how_to_make_one(clock: VirtualClock) -> None:
    with pytest.raises(DeclarationError, match=r"'API_EXCHANGE_KEYS'.*credentials new-key` makes one"):
        AesGcmSealer(InMemorySecretSource(), clock).seal(SECRET, bound_to=BOUND_TO)


def test_without_the_library_the_error_says_what_to_install(
    sealer: AesGcmSealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(DeclarationError, match=r'pip install "api-exchange-core\[apis\]"'):
        sealer.seal(SECRET, bound_to=BOUND_TO)


def test_nothing_of_it_tells_a_key(sealer: AesGcmSealer) -> None:
    sealer.seal(SECRET, bound_to=BOUND_TO)
    assert repr(sealer) == "AesGcmSealer(keyring='API_EXCHANGE_KEYS')"
    assert "old" in repr(sealer._known)
    assert repr(OLD) not in repr(sealer._known)


def test_a_source_that_is_out_of_reach_is_not_waited_for_by_everybody(
    source: Source, clock: VirtualClock
) -> None:
    sealer = AesGcmSealer(source, clock)
    sealer.seal(SECRET, bound_to=BOUND_TO)
    clock.advance(KEYS_MEMORY)
    source.is_down, source.asked = True, 0
    for _ in range(20):
        sealer.seal(SECRET, bound_to=BOUND_TO)
        clock.advance(timedelta(seconds=1))
    assert source.asked == 4
    source.is_down = False
    source.hold("new", "old")
    clock.advance(timedelta(seconds=5))
    assert key_id_of(sealer.seal(SECRET, bound_to=BOUND_TO)) == "new"


def test_a_key_that_may_be_in_a_source_out_of_reach_is_no_lost_key(
    source: Source, clock: VirtualClock
) -> None:
    sealer, ahead = AesGcmSealer(source, clock), AesGcmSealer(Source("new", "old"), clock)
    sealer.seal(SECRET, bound_to=BOUND_TO)
    sealed = ahead.seal(SECRET, bound_to=BOUND_TO)
    source.hold("new", "old")
    source.is_down = True
    clock.advance(timedelta(seconds=5))
    with pytest.raises(TransientError, match="the vault does not answer"):
        sealer.unseal(sealed, bound_to=BOUND_TO)
    source.is_down = False
    clock.advance(timedelta(seconds=5))
    assert sealer.unseal(sealed, bound_to=BOUND_TO) == SECRET
