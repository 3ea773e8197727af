"""The content hash: what tells whether the content of an entity has changed, without keeping the content.

    sha256:jcs1:<64 hex>                  SHA-256 of the canonical JSON
    hmac-sha256:jcs1:<key id>:<64 hex>    the same, keyed: content of few possible values cannot be guessed

``jcs1`` names the profile, that is the rules of `canonical_json` and `json_value`. Should they ever change,
the name changes with them, so an old hash never passes for a new one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NewType, TypeAlias

from api_exchange_core.domain.canonical_json import canonical_bytes
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.json_pointer import pointer_steps
from api_exchange_core.domain.json_value import member_name, opened

ContentHash = NewType("ContentHash", str)

PROFILE = "jcs1"
FIELD_HASH_DIGITS = 16
"""Hex digits of a field's hash. It says which fields changed; whether any did, the whole hash says."""

MIN_SECRET = 32
"""Shortest secret of a `HashKey`, in bytes: RFC 2104, section 3, discourages keys shorter than the hash."""

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HASH = re.compile(rf"(?:sha256:{PROFILE}|hmac-sha256:{PROFILE}:{_KEY_ID.pattern}):[0-9a-f]{{64}}")

_Tree: TypeAlias = "dict[str, _Tree]"
"""The steps of a type's volatile pointers; a step with nothing below it is left out whole."""


def content_hash(text: str) -> ContentHash:
    """Check that *text*, read from a store, is a content hash.

    Raises:
        ValueError: it is not, or of a profile that this version does not know.
    """
    if not _HASH.fullmatch(text):
        raise ValueError(
            f"{text!r} is no content hash: expected 'sha256:{PROFILE}:<64 hex>' or "
            f"'hmac-sha256:{PROFILE}:<key id>:<64 hex>'"
        )
    return ContentHash(text)


@dataclass(frozen=True, slots=True)
class HashKey:
    """The secret of keyed hashes. Its id is part of each hash, so hashes of two keys never pass for equal.

    Args:
        id: 1 to 64 letters, digits, ``_`` and ``-``.
        secret: at least `MIN_SECRET` random bytes.

    Raises:
        DeclarationError: the id has other characters, or the secret is too short.
    """

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.id):
            raise DeclarationError(
                f"{self.id!r} is no id for a hash key: use 1 to 64 letters from A to Z, digits, '_' and '-'"
            )
        if type(self.secret) is not bytes or len(self.secret) < MIN_SECRET:
            raise DeclarationError(
                f"the secret of hash key {self.id!r} must be at least {MIN_SECRET} bytes: "
                f"make one with secrets.token_bytes({MIN_SECRET})"
            )


@dataclass(frozen=True, slots=True)
class ContentHasher:
    """Hashes contents of entities.

    Args:
        encode: writes canonical JSON; any `ports.canonical_encoder.CanonicalEncoder` gives the same hashes.
        volatile: for each canonical type, JSON pointers (RFC 6901) to what differs although the content does
            not, such as ``/fetched_at``. What they point at is left out before hashing. Pointing at something
            absent is fine; in an array (``/lines/0``) the index counts the items as they are handed over.
        key: makes the hashes keyed (HMAC).

    Raises:
        DeclarationError: a pointer is malformed, points at the whole document or uses ``*``.
    """

    encode: Callable[[object], bytes] = canonical_bytes
    volatile: Mapping[str, Sequence[str]] = field(default_factory=dict)
    key: HashKey | None = None
    _left_out: Mapping[str, _Tree] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        left_out = {kind: _tree(kind, pointers) for kind, pointers in self.volatile.items()}
        # Own copies: what the caller does with its mapping later must not make a second truth of it.
        volatile = {kind: tuple(pointers) for kind, pointers in self.volatile.items()}
        object.__setattr__(self, "volatile", volatile)
        object.__setattr__(self, "_left_out", left_out)

    def hash(self, data: object, *, canonical_type: str) -> ContentHash:
        """The hash of *data* without the volatile parts of its type. Equal hashes: equal content.

        Raises:
            UnrepresentableError: *data* has no JSON form.
        """
        return self._hash_of(self.encode(self._kept(data, canonical_type)))

    def encode_and_hash(self, data: object, *, canonical_type: str) -> tuple[bytes, ContentHash]:
        """The canonical JSON of all of *data*, and the hash of it without the volatile parts of its type.

        Raises:
            UnrepresentableError: *data* has no JSON form.
        """
        if canonical_type not in self._left_out:
            content = self.encode(data)
            return content, self._hash_of(content)
        data = opened(data)  # once: what a model is dumped to, say
        return self.encode(data), self.hash(data, canonical_type=canonical_type)

    def field_hashes(self, data: object, *, canonical_type: str) -> dict[str, str]:
        """A short hash of each top-level field of *data*, by name; what is no object has none.

        Raises:
            UnrepresentableError: a field has no JSON form. The pointer in the message starts at the field;
                what `hash` has taken is not refused here.
        """
        left_out = self._left_out.get(canonical_type)
        kept = _without(data, left_out) if left_out else opened(data)
        if not isinstance(kept, dict):
            return {}
        return {member_name(name): self._field_hash(item) for name, item in kept.items()}

    def _field_hash(self, item: object) -> str:
        return self._digest(self.encode(item))[:FIELD_HASH_DIGITS]

    def _hash_of(self, content: bytes) -> ContentHash:
        digest = self._digest(content)
        if self.key is None:
            return ContentHash(f"sha256:{PROFILE}:{digest}")
        return ContentHash(f"hmac-sha256:{PROFILE}:{self.key.id}:{digest}")

    def _kept(self, data: object, canonical_type: str) -> object:
        left_out = self._left_out.get(canonical_type)
        return _without(data, left_out) if left_out else data

    def _digest(self, content: bytes) -> str:
        if self.key is None:
            return hashlib.sha256(content).hexdigest()
        return hmac.digest(self.key.secret, content, "sha256").hex()


def _tree(kind: str, pointers: Sequence[str]) -> _Tree:
    if isinstance(pointers, str):
        raise DeclarationError(f"volatile pointers of {kind!r} are a list, not one text: pass [{pointers!r}]")
    root: _Tree = {}
    # The longest first, so that "/a" overrides "/a/b" and not the other way round.
    for *parents, last in sorted((_steps(kind, pointer) for pointer in pointers), key=len, reverse=True):
        node = root
        for step in parents:
            node = node.setdefault(step, {})
        node[last] = {}
    return root


def _steps(kind: str, pointer: str) -> tuple[str, ...]:
    try:
        steps = pointer_steps(pointer)
    except ValueError as error:
        raise DeclarationError(f"volatile pointer of {kind!r}: {error}") from error
    if "*" in steps:
        raise DeclarationError(
            f"volatile pointer {pointer!r} of {kind!r}: '*' is not supported; "
            "name each field or index, or drop the fields before the data is handed over"
        )
    return steps


def _without(value: object, left_out: _Tree) -> object:
    """*value* without what *left_out* leads to. Only the containers on the way are copied, one level each."""
    content = opened(value)
    if isinstance(content, dict):
        for step, below in left_out.items():
            if step in content and below:
                content[step] = _without(content[step], below)
            else:
                content.pop(step, None)
        return content
    if isinstance(content, list):
        items = ((item, left_out.get(str(index))) for index, item in enumerate(content))
        return [_without(item, below) if below else item for item, below in items if below != {}]
    return content
