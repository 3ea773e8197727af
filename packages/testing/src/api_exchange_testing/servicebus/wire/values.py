"""AMQP values and the sections of messages, encoded and decoded by proton (AMQP 1.0 parts 1 and 3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Final, TypeVar

import proton

from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError

T = TypeVar("T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_SHORT_DATA: Final = bytes((0x00, 0x53, 0x75, 0xA0))  # a data section whose length is one byte, or four
_LONG_DATA: Final = bytes((0x00, 0x53, 0x75, 0xB0))
_TICKS_AT_EPOCH: Final = 621_355_968_000_000_000  # .NET counts 100 ns since the year 1


class SectionCode(IntEnum):
    """The descriptors of a message's sections (AMQP 1.0 part 3.2)."""

    HEADER = 0x70
    DELIVERY_ANNOTATIONS = 0x71
    MESSAGE_ANNOTATIONS = 0x72
    PROPERTIES = 0x73
    APPLICATION_PROPERTIES = 0x74
    DATA = 0x75
    SEQUENCE = 0x76
    VALUE = 0x77
    FOOTER = 0x78


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a message, and the bytes that it was."""

    code: SectionCode
    value: object
    raw: bytes


def sections(encoded: bytes) -> Iterator[Section]:
    """The sections of a message, in order.

    Raises:
        RefusedError: these are no sections.
    """
    rest = encoded
    while rest:
        plain = _data_section(rest)
        if plain is not None:
            yield plain
            rest = rest[len(plain.raw) :]
            continue
        data = proton.Data()
        try:
            size = data.decode(rest)
            data.rewind()
            data.next()
            found = owned(data.get_object())
            if not isinstance(found, proton.Described):
                raise RefusedError(Condition.DECODE_ERROR, "A message is made of described sections.")
            code = SectionCode(_encodable(found.descriptor))
        except (proton.DataException, ValueError) as error:
            raise RefusedError(Condition.DECODE_ERROR, f"The message cannot be decoded: {error}") from error
        yield Section(code, found.value, rest[:size])
        rest = rest[size:]


def _data_section(encoded: bytes) -> Section | None:
    """The data section that *encoded* begins with, read here because most bytes are in these; None if it is another."""
    head, width = encoded[:4], {_SHORT_DATA: 1, _LONG_DATA: 4}.get(encoded[:4], 0)
    start = len(head) + width
    end = start + int.from_bytes(encoded[len(head) : start], "big")
    if not width or end > len(encoded):
        return None
    return Section(SectionCode.DATA, encoded[start:end], encoded[:end])


def section(code: SectionCode, value: object) -> bytes:
    """Encode a section."""
    data = proton.Data()
    data.put_object(proton.Described(proton.ulong(code), _encodable(value)))
    return bytes(data.encode())


def owned(value: object) -> object:
    """A copy of what proton decoded: its binaries are views of memory that is freed with the decoder."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, dict):
        return {owned(key): owned(each) for key, each in value.items()}
    if isinstance(value, list):
        return [owned(each) for each in value]
    if isinstance(value, proton.Array):
        return proton.Array(
            value.descriptor, value.type, *[_encodable(owned(each)) for each in value.elements]
        )
    if isinstance(value, proton.Described):
        return proton.Described(value.descriptor, _encodable(owned(value.value)))
    return value


def elements(value: object, kind: type[T]) -> list[T]:
    """The elements of an array or list.

    Raises:
        RefusedError: it is neither, or an element is of another kind.
    """
    found = list(value.elements) if isinstance(value, proton.Array) else value
    if not isinstance(found, list) or not all(isinstance(each, kind) for each in found):
        raise RefusedError(Condition.ARGUMENT_ERROR, f"An array of {kind.__name__} was expected.")
    return found


def symbol(name: str) -> str:
    """A name that is encoded as a symbol."""
    return proton.symbol(name)


def symbols(values: Mapping[str, object]) -> dict[str, object]:
    """A map with symbols for keys."""
    return {proton.symbol(name): value for name, value in values.items()}


def uint(number: int) -> int:
    """A number that is encoded as an unsigned integer of 32 bits."""
    return proton.uint(number)


def int32(number: int) -> int:
    """A number that is encoded as an integer of 32 bits."""
    return proton.int32(number)


def timestamp(moment: datetime) -> int:
    """A time that is encoded as a timestamp: milliseconds."""
    return proton.timestamp((moment - _EPOCH) // _MILLISECOND)


def timestamps(moments: Iterable[datetime]) -> object:
    """An array of timestamps."""
    return _array(proton.Data.TIMESTAMP, map(timestamp, moments))


def longs(numbers: Iterable[int]) -> object:
    """An array of integers of 64 bits."""
    return _array(proton.Data.LONG, numbers)


def strings(texts: Iterable[str]) -> object:
    """An array of strings."""
    return _array(proton.Data.STRING, texts)


def moment(milliseconds: object) -> datetime:
    """The time of a timestamp.

    Raises:
        RefusedError: it is none, or none that a calendar has.
    """
    if isinstance(milliseconds, int):
        try:
            return _EPOCH + _MILLISECOND * milliseconds
        except OverflowError:
            pass
    raise RefusedError(Condition.ARGUMENT_ERROR, f"A timestamp was expected, not {milliseconds!r}.")


def ticks(time: datetime) -> int:
    """A time in .NET's ticks."""
    return _TICKS_AT_EPOCH + (time - _EPOCH) // timedelta(microseconds=1) * 10


def _array(kind: object, values: Iterable[object]) -> object:
    return proton.Array(_encodable(proton.UNDESCRIBED), _encodable(kind), *map(_encodable, values))


def _encodable(value: object) -> Any:
    """What proton is to encode: it raises for what it cannot, which its types do not say."""
    return value
