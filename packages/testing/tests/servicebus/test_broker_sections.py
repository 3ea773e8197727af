"""The sections of messages, read here and by proton, are the same."""

from __future__ import annotations

import proton
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_testing.servicebus.model.refusal import RefusedError
from api_exchange_testing.servicebus.wire.values import SectionCode, section, sections


@given(body=st.binary(max_size=600), before=st.dictionaries(st.text(), st.text()), behind=st.binary())
def test_a_data_section_is_read_whatever_lies_around_it(
    body: bytes, before: dict[str, str], behind: bytes
) -> None:
    properties = section(SectionCode.APPLICATION_PROPERTIES, before)
    data, last = section(SectionCode.DATA, body), section(SectionCode.DATA, behind)
    read = list(sections(properties + data + last))
    assert [part.value for part in read] == [before, body, behind]
    assert [part.raw for part in read] == [properties, data, last]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 70_000])
def test_a_data_section_that_is_cut_short_is_refused(size: int) -> None:
    whole = section(SectionCode.DATA, b"x" * size) + section(SectionCode.DATA, b"y")
    with pytest.raises(RefusedError):
        list(sections(whole[:-1]))


def test_a_data_section_whose_descriptor_is_long_is_read_too() -> None:
    data = proton.Data()
    data.put_object(proton.Described(proton.ulong(SectionCode.DATA), b"x"))
    long_one = b"\x00\x80" + bytes(7) + b"\x75" + bytes(data.encode())[3:]
    (read,) = sections(long_one)
    assert (read.code, read.value, read.raw) == (SectionCode.DATA, b"x", long_one)
