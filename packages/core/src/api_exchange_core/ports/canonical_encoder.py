"""The port through which canonical JSON may be written faster than pure Python can."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class CanonicalEncoder(Protocol):
    """Writes canonical JSON. A content hash must not depend on which encoder wrote the bytes."""

    @abstractmethod
    def __call__(self, value: object, /) -> bytes:
        """Return exactly what `domain.canonical_json.canonical_bytes` returns.

        Raises:
            UnrepresentableError: exactly when `canonical_bytes` raises it, with the same message.
        """
