"""How keys are written down, and what is said of those that are written wrongly."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.adapters.crypto.keyring import KEY_BYTES, Keyring, new_entry
from api_exchange_core.domain.errors import DeclarationError

NAME = "API_EXCHANGE_KEYS"
KEY, OTHER = (
    bytes(range(200, 232)),
    bytes(range(32)),
)  # of which the first has both special characters in base64
BASE64 = b64encode(KEY).decode()

ids = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,30}[A-Za-z0-9])?", fullmatch=True)
rings = st.dictionaries(ids, st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES), min_size=1, max_size=5)
encodings = st.sampled_from(
    [b64encode, urlsafe_b64encode, lambda key: b64encode(key).rstrip(b"="), lambda key: b" " + b64encode(key)]
)


def read(text: str) -> Keyring:
    return Keyring.read(text.encode(), name=NAME)


@given(ring=rings, encode=encodings, between=st.sampled_from([",", "\n", "\r\n", "\n\n", " ,\n"]))
def test_whatever_way_it_is_written_the_first_key_is_the_current_one(ring, encode, between):  # type: ignore[no-untyped-def]  # what hypothesis draws
    found = read(between.join(f"{key_id}:{encode(key).decode()}" for key_id, key in ring.items()) + between)
    assert found == Keyring(next(iter(ring)), ring)


def test_a_fresh_key_is_a_keyring_by_itself_and_never_comes_twice() -> None:
    rings = [read(new_entry("2026-11-23-9f3a")) for _ in range(50)]
    assert {ring.current for ring in rings} == {"2026-11-23-9f3a"}
    assert len({key for ring in rings for key in ring.keys.values()}) == 50


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no key"),
        (" \n,\n", "holds no key"),
        (BASE64, "entry 1: it is no ID:KEY"),
        (f"new:{BASE64}\n{BASE64}", "entry 2: it is no ID:KEY"),
        (f"{BASE64}:new", "entry 1: the id before the colon must be"),
        (f"{KEY.hex()}:new", "entry 1: the id before the colon must be"),
        (f":{BASE64}", "entry 1: the id before the colon must be"),
        (f"a.b:{BASE64}", "entry 1: the id before the colon must be"),
        (f"new:{b64encode(KEY[:16]).decode()}", "'new'.*has 16 bytes, and must have 32"),
        (f"new:{b64encode(KEY * 2).decode()}", "has 64 bytes"),
        (f"new:{KEY.hex()}", "has 48 bytes"),
        ("new:", "has 0 bytes"),
        (f"new:{BASE64[:-1]}!", "'new'.*is no base64"),
        (f"new:{BASE64[:-3]}", "is no base64"),
        (f"new:{BASE64},new:{b64encode(OTHER).decode()}", "another key called 'new' before it"),
        (f"new:{BASE64}é", "is no ASCII text"),
    ],
)
def test_what_is_wrong_is_named_by_its_place_and_no_part_of_a_key_is_repeated(text: str, said: str) -> None:
    with pytest.raises(DeclarationError, match=said) as refused:
        read(text)
    assert NAME in str(refused.value)
    for key in (BASE64, KEY.hex(), b64encode(OTHER).decode()):
        assert not any(key[start : start + 6] in str(refused.value) for start in range(len(key) - 6))
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize("key_id", ["", "a.b", "-a", "a:b", "x" * 33, "ä"])
def test_a_key_is_called_by_a_plain_name_only(key_id: str) -> None:
    with pytest.raises(DeclarationError, match="1 to 32 letters"):
        new_entry(key_id)


def test_a_keyring_tells_its_ids_at_most() -> None:
    assert repr(read(f"new:{BASE64}")) == "Keyring(current='new')"
