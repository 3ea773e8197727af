"""A text that is shown to nobody by accident."""

from __future__ import annotations

import hmac
from typing import Final, NoReturn, SupportsIndex, final

from typing_extensions import override

_SHOWN: Final = "Secret(hidden)"


@final
class Secret:
    """Holds a secret. It prints, formats and logs as ``Secret(hidden)`` and refuses to be pickled.

    Raises:
        ValueError: the text is empty.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not value:
            raise ValueError("a secret cannot be empty")
        self._value = value

    def reveal(self) -> str:
        """The secret itself; for the one place that hands it over."""
        return self._value

    @override
    def __repr__(self) -> str:
        return _SHOWN

    @override
    def __str__(self) -> str:
        return _SHOWN

    @override
    def __format__(self, _: str) -> str:
        return _SHOWN

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    @override
    def __hash__(self) -> int:
        return hash((Secret, self._value))

    @override
    def __reduce_ex__(self, _: SupportsIndex) -> NoReturn:
        raise TypeError("a secret is not pickled: hand on where it comes from instead")
