from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from api_exchange_core.domain.canonical_json import canonical_bytes
from api_exchange_core.domain.content_hash import ContentHash, ContentHasher, HashKey, content_hash
from api_exchange_core.domain.errors import DeclarationError, UnrepresentableError
from api_exchange_core.domain.json_value import json_value

SECRET = b"correct horse battery staple, 32"
KEY = HashKey(id="2025-03", secret=SECRET)

contents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.datetimes(timezones=st.just(UTC))
    | st.uuids()
    | st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(alphabet="abcé😀", max_size=3), inner, max_size=4)
    ),
    max_leaves=15,
)


def hash_of(data: object, volatile: Sequence[str] = (), key: HashKey | None = None) -> ContentHash:
    return ContentHasher(volatile={"order": volatile}, key=key).hash(data, canonical_type="order")


def test_the_hash_is_the_sha_256_of_the_canonical_bytes_with_its_profile() -> None:
    digest = hashlib.sha256(b'{"id":"A-1","total":12.5}').hexdigest()
    assert hash_of({"total": 12.50, "id": "A-1"}) == f"sha256:jcs1:{digest}"


def test_known_values_stay_what_they_are() -> None:
    # From `printf '{}' | sha256sum` and the like. Should one change, every stored hash is void: that is a new
    # profile, not a new expectation.
    assert hash_of({}) == "sha256:jcs1:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert hash_of(None) == "sha256:jcs1:74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"


def test_a_keyed_hash_is_the_hmac_and_names_its_key() -> None:
    digest = hmac.new(SECRET, b'{"pin":1234}', "sha256").hexdigest()
    assert hash_of({"pin": 1234}, key=KEY) == f"hmac-sha256:jcs1:2025-03:{digest}"


def test_hashes_of_two_keys_differ_even_with_the_same_secret() -> None:
    assert hash_of({}, key=KEY) != hash_of({}, key=HashKey(id="2025-04", secret=SECRET))


def test_hashes_of_two_secrets_differ() -> None:
    assert hash_of({}, key=KEY) != hash_of({}, key=HashKey(id="2025-03", secret=SECRET[::-1]))


@given(contents)
def test_the_hash_survives_a_trip_through_json(data: object) -> None:
    assert hash_of(json.loads(json.dumps(json_value(data)))) == hash_of(data)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": "1"}),
        ({"a": None}, {}),
        ({"a": []}, {"a": {}}),
        ({"a": True}, {"a": 1}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": 2**53}, {"a": 2**53 + 1}),
        ({"a": 0.1}, {"a": 0.1 + 2**-56}),
        ({"a": "é"}, {"a": "e\u0301"}),
        ({"version": 1}, {"version": 2}),
        ({"metadata": {"a": 1}}, {"metadata": {"a": 2}}),
    ],
)
def test_different_contents_have_different_hashes(a: object, b: object) -> None:
    assert hash_of(a) != hash_of(b)


def test_a_set_is_refused() -> None:
    with pytest.raises(UnrepresentableError, match=r"type set, at '/tags': pass a sorted list"):
        hash_of({"tags": {"b", "a"}})


@pytest.mark.parametrize(
    ("pointers", "a", "b"),
    [
        (["/at"], {"id": 1, "at": "09:00"}, {"id": 1, "at": "10:00"}),
        (["/at"], {"id": 1, "at": "09:00"}, {"id": 1}),
        (["/meta/at"], {"meta": {"at": 1, "x": 2}}, {"meta": {"at": 5, "x": 2}}),
        (["/lines/0/seen"], {"lines": [{"seen": 1}, {"seen": 2}]}, {"lines": [{}, {"seen": 2}]}),
        (["/lines/0", "/lines/2"], {"lines": ["a", "b", "c"]}, {"lines": ["x", "b", "y"]}),
        (["/lines/2", "/lines/0"], {"lines": ["a", "b", "c"]}, {"lines": ["x", "b", "y"]}),
        (["/a", "/a/b"], {"a": {"b": 1, "c": 2}}, {}),
        (["/a/b", "/a"], {"a": {"b": 1, "c": 2}}, {}),
        (["/a~1b"], {"a/b": 1}, {}),
        (["/0"], {"0": 1}, {}),
        (["/10"], list(range(11)), list(range(10))),
    ],
)
def test_what_a_volatile_pointer_leads_to_makes_no_difference(
    pointers: list[str], a: object, b: object
) -> None:
    assert hash_of(a, pointers) == hash_of(b, pointers)
    assert hash_of(a) != hash_of(b)


def test_what_is_left_out_needs_no_form() -> None:
    assert hash_of({"id": 1, "at": float("nan")}, ["/at"]) == hash_of({"id": 1})


@pytest.mark.parametrize(
    "pointer",
    ["/gone", "/gone/deeper", "/id/deeper", "/lines/9", "/lines/-", "/lines/00", "/lines/x", "/lines/-1"],
)
def test_a_volatile_pointer_to_something_absent_changes_nothing(pointer: str) -> None:
    data = {"id": "A-1", "lines": ["a", "b"]}
    assert hash_of(data, [pointer]) == hash_of(data)


def test_volatile_pointers_hold_for_their_own_canonical_type_only() -> None:
    hasher = ContentHasher(volatile={"order": ["/at"]})
    data = {"id": 1, "at": 2}
    assert hasher.hash(data, canonical_type="invoice") == ContentHasher().hash(data, canonical_type="invoice")
    assert hasher.hash(data, canonical_type="order") == ContentHasher().hash(
        {"id": 1}, canonical_type="order"
    )


class Meta(BaseModel):
    at: datetime
    who: str


@dataclass
class Record:
    meta: Meta
    total: Decimal


def test_volatile_pointers_lead_through_models_dataclasses_and_tuples() -> None:
    first = Record(Meta(at=datetime(2025, 3, 1, tzinfo=UTC), who="a"), Decimal("1.0"))
    later = Record(Meta(at=datetime(2025, 3, 2, tzinfo=UTC), who="a"), Decimal("1.0"))
    other = Record(Meta(at=datetime(2025, 3, 1, tzinfo=UTC), who="b"), Decimal("1.0"))
    assert hash_of((first,), ["/0/meta/at"]) == hash_of((later,), ["/0/meta/at"])
    assert hash_of((first,), ["/0/meta/at"]) != hash_of((other,), ["/0/meta/at"])


def test_leaving_out_copies_the_way_there_and_nothing_else() -> None:
    encoded: list[object] = []

    def recording(value: object) -> bytes:
        encoded.append(value)
        return canonical_bytes(value)

    data: dict[str, Any] = {"meta": {"at": 1, "tags": ["x"]}, "lines": [{"sku": "A"}]}
    before = json.dumps(data)
    ContentHasher(encode=recording, volatile={"order": ["/meta/at"]}).hash(data, canonical_type="order")

    assert json.dumps(data) == before
    (kept,) = encoded
    assert isinstance(kept, dict)
    assert kept == {"meta": {"tags": ["x"]}, "lines": [{"sku": "A"}]}
    assert kept["lines"] is data["lines"]
    assert kept["meta"]["tags"] is data["meta"]["tags"]


def test_without_volatile_pointers_the_data_goes_to_the_encoder_as_it_is() -> None:
    encoded: list[object] = []

    def recording(value: object) -> bytes:
        encoded.append(value)
        return b"{}"

    data = {"id": 1}
    ContentHasher(encode=recording).hash(data, canonical_type="order")
    assert encoded[0] is data


def test_content_and_hash_are_had_in_one_go_and_the_content_is_whole() -> None:
    data = {"id": 1, "at": 2}
    hasher = ContentHasher(volatile={"order": ["/at"]}, key=KEY)
    assert hasher.encode_and_hash(data, canonical_type="order") == (
        b'{"at":2,"id":1}',
        hasher.hash(data, canonical_type="order"),
    )
    assert hasher.encode_and_hash(data, canonical_type="invoice") == (
        b'{"at":2,"id":1}',
        hasher.hash(data, canonical_type="invoice"),
    )


@pytest.mark.parametrize(
    ("pointer", "reason"),
    [
        ("", "is no JSON pointer"),
        ("at", "is no JSON pointer"),
        ("/a~x", "is no JSON pointer"),
        ("/lines/*/at", r"'\*' is not supported"),
    ],
)
def test_a_volatile_pointer_that_cannot_work_is_refused_when_the_hasher_is_made(
    pointer: str, reason: str
) -> None:
    with pytest.raises(DeclarationError, match=rf"volatile pointer.*'order'.*{reason}"):
        ContentHasher(volatile={"order": [pointer]})


def test_one_text_in_place_of_a_list_of_pointers_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"pass \['/at'\]"):
        ContentHasher(volatile={"order": "/at"})


def test_a_hasher_does_not_follow_later_changes_of_the_mapping_it_was_made_from() -> None:
    pointers = ["/at"]
    volatile: dict[str, Sequence[str]] = {"order": pointers}
    hasher = ContentHasher(volatile=volatile)
    pointers.append("/id")
    volatile["invoice"] = ["/id"]
    assert hasher == ContentHasher(volatile={"order": ("/at",)})
    with pytest.raises(FrozenInstanceError):
        hasher.key = KEY  # type: ignore[misc]  # what the test is about


def test_each_top_level_field_has_a_short_hash() -> None:
    def short(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()[:16]

    data = {"total": Decimal("1.50"), "lines": [{"b": 1, "a": 2}], "at": 1}
    hasher = ContentHasher(volatile={"order": ["/at", "/lines/0/b"]})
    assert hasher.field_hashes(data, canonical_type="order") == {
        "total": short(b'"1.5"'),
        "lines": short(b'[{"a":2}]'),
    }


def test_field_hashes_are_keyed_when_the_hash_is() -> None:
    digest = hmac.new(SECRET, b"1234", "sha256").hexdigest()
    assert ContentHasher(key=KEY).field_hashes({"pin": 1234}, canonical_type="order") == {"pin": digest[:16]}


@pytest.mark.parametrize("data", [None, 1, "text", ["a"], (), 1.5])
def test_what_is_no_object_has_no_field_hashes(data: object) -> None:
    assert ContentHasher().field_hashes(data, canonical_type="order") == {}


def test_a_dataclass_and_the_dict_of_its_fields_have_the_same_field_hashes() -> None:
    record = Record(Meta(at=datetime(2025, 3, 1, tzinfo=UTC), who="a"), Decimal("1.0"))
    by_name: Mapping[str, object] = {"meta": {"at": "2025-03-01T00:00:00Z", "who": "a"}, "total": "1"}
    hasher = ContentHasher()
    assert hasher.field_hashes(record, canonical_type="r") == hasher.field_hashes(by_name, canonical_type="r")


@pytest.mark.parametrize("data", [{1: 2}, {"a\ud800": 1}, {"a": {1}}])
def test_field_hashes_refuse_what_the_hash_refuses(data: object) -> None:
    with pytest.raises(UnrepresentableError):
        ContentHasher().field_hashes(data, canonical_type="order")


def test_the_secret_shows_in_no_repr_and_in_no_error() -> None:
    assert repr(KEY) == "HashKey(id='2025-03')"
    assert "horse" not in repr(ContentHasher(key=KEY))
    with pytest.raises(DeclarationError) as caught:
        HashKey(id="k", secret=b"horse")
    assert "horse" not in str(caught.value)


def test_keys_are_equal_only_with_the_same_secret() -> None:
    assert HashKey("a", SECRET) == HashKey("a", SECRET)
    assert HashKey("a", SECRET) != HashKey("a", SECRET[::-1])


@pytest.mark.parametrize("key_id", ["", "a:b", "ä", "a" * 65, "a\n"])
def test_a_key_id_that_would_blur_the_hash_is_refused(key_id: str) -> None:
    with pytest.raises(DeclarationError, match="is no id for a hash key"):
        HashKey(id=key_id, secret=SECRET)


@pytest.mark.parametrize("secret", [b"", b"x" * 31, "x" * 32])
def test_a_secret_that_is_too_short_or_is_text_is_refused(secret: bytes) -> None:
    with pytest.raises(DeclarationError, match="must be at least 32 bytes"):
        HashKey(id="k", secret=secret)


@pytest.mark.parametrize("key", [None, KEY])
def test_a_hash_read_from_a_store_is_checked_and_is_itself(key: HashKey | None) -> None:
    made = hash_of({"a": 1}, key=key)
    assert content_hash(str(made)) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:jcs1:",
        "sha256:jcs2:" + "0" * 64,
        "sha256:jcs1:" + "G" * 64,
        "sha256:jcs1:" + "0" * 64 + "\n",
        "sha256:jcs1:k:" + "0" * 64,
        "hmac-sha256:jcs1:" + "0" * 64,
        "md5:" + "0" * 32,
    ],
)
def test_what_is_no_hash_of_a_known_profile_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no content hash"):
        content_hash(text)
