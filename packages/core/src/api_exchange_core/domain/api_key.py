"""How API keys are known."""

from __future__ import annotations

import hashlib


def api_key_hash(key: str) -> str:
    """The SHA-256 by which an API key is known, in hexadecimal.

    Keys are made of 256 random bits, so a fast hash without salt gives nothing to guess from.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
