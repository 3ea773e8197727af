from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.json_pointer import pointer_steps, pointer_to


# RFC 6901, section 5: the pointers into its example document, as JSON strings.
@pytest.mark.parametrize(
    ("pointer", "steps"),
    [
        ("/foo", ("foo",)),
        ("/foo/0", ("foo", "0")),
        ("/", ("",)),
        ("/a~1b", ("a/b",)),
        ("/c%d", ("c%d",)),
        ("/i\\j", ("i\\j",)),
        ('/k"l', ('k"l',)),
        ("/ ", (" ",)),
        ("/m~0n", ("m~n",)),
    ],
)
def test_a_pointer_of_the_rfc_leads_through_its_steps_and_back(pointer: str, steps: tuple[str, ...]) -> None:
    assert pointer_steps(pointer) == steps
    assert pointer_to(steps) == pointer


def test_an_escaped_tilde_is_not_read_as_the_escape_of_what_follows() -> None:
    assert pointer_steps("/~01") == ("~1",)


@given(st.lists(st.text(), min_size=1))
def test_any_steps_survive_being_written_as_a_pointer(steps: list[str]) -> None:
    assert pointer_steps(pointer_to(steps)) == tuple(steps)


def test_no_steps_point_at_the_root() -> None:
    assert pointer_to([]) == ""


@pytest.mark.parametrize("text", ["", "foo", "/a~", "/a~2b", "#/a", "/a\n~"])
def test_what_points_at_no_part_of_a_document_is_refused_with_advice(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"is no JSON pointer to a part of a document: start each step with '/'"
    ):
        pointer_steps(text)
