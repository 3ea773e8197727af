"""Which failures are the same one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core import RetryableError
from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.fingerprint import fingerprint_of, fingerprint_of_result, plain_words


def caught(call: Callable[..., object], *arguments: object) -> BaseException:
    try:
        call(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test is about
        return error
    raise AssertionError("nothing was raised")


def of(error: BaseException, *, function: str = "to-canonical", operation: str | None = "map") -> str:
    return fingerprint_of(error, function=function, operation=operation)


def fetch(id_: object) -> None:
    raise ValueError(f"order {id_} is not there")


def fetch_elsewhere(id_: object) -> None:
    raise ValueError(f"order {id_} is not there")


def wrapped(id_: object) -> None:
    try:
        fetch(id_)
    except ValueError as error:
        raise RetryableError(f"no answer for {id_}") from error


def wrapped_in_silence(id_: object) -> None:
    try:
        fetch(id_)
    except ValueError:
        raise RetryableError(f"no answer for {id_}") from None


def while_handling(id_: object) -> None:
    try:
        fetch(id_)
    except ValueError:
        raise RetryableError(f"no answer for {id_}")  # noqa: B904 - the case under test


def descend(depth: int) -> None:
    if depth:
        descend(depth - 1)
    fetch(depth)


def down(depth: int) -> None:
    if depth > 0:
        and_down(depth - 1)
    fetch(depth)


def and_down(depth: int) -> None:
    down(depth - 1)


def several(ids: range) -> None:
    raise ExceptionGroup("several", [caught(fetch, id_) for id_ in ids])  # type: ignore[type-var]  # they are


@given(st.one_of(st.integers(), st.uuids(), st.text()), st.one_of(st.integers(), st.uuids(), st.text()))
@pytest.mark.parametrize("call", [fetch, wrapped, while_handling, wrapped_in_silence])
def test_the_same_failure_with_another_id_has_the_same_fingerprint(
    call: Callable[..., object], one: object, other: object
) -> None:
    assert of(caught(call, one)) == of(caught(call, other))


def test_failures_of_another_place_class_chain_function_or_operation_differ() -> None:
    fingerprints = [
        of(caught(fetch, 1)),
        of(caught(fetch_elsewhere, 1)),
        of(caught(wrapped, 1)),
        of(caught(wrapped_in_silence, 1)),
        of(caught(int, "x")),
        of(caught(fetch, 1), function="route-orders"),
        of(caught(fetch, 1), operation="route"),
        of(caught(fetch, 1), operation=None),
    ]
    assert len(set(fingerprints)) == len(fingerprints)


def test_what_was_raised_while_handling_another_error_is_told_with_it() -> None:
    bare = caught(while_handling, 1)
    bare.__context__ = None
    assert of(bare) != of(caught(while_handling, 1))


@given(st.integers(1, 40), st.integers(1, 40))
def test_how_deep_a_recursion_went_does_not_matter(one: int, other: int) -> None:
    assert of(caught(descend, one)) == of(caught(descend, other))
    assert of(caught(down, 2 * one)) == of(caught(down, 2 * other))


def test_of_a_group_of_errors_the_classes_count_and_not_how_many_there_are() -> None:
    assert of(caught(several, range(1, 3))) == of(caught(several, range(5)))


def test_a_chain_that_bites_its_own_tail_has_a_fingerprint() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert of(first) == of(first)


def test_an_edit_above_the_place_splits_no_group() -> None:
    def defined(lines_above: int) -> Callable[[], None]:
        names: dict[str, Callable[[], None]] = {}
        source = "\n" * lines_above + "def fetch():\n    raise ValueError('no')\n"
        exec(compile(source, "orders.py", "exec"), {"__name__": "orders"}, names)
        return names["fetch"]

    assert of(caught(defined(0))) == of(caught(defined(30)))


def test_where_no_frame_is_the_applications_the_words_of_the_text_tell_errors_apart() -> None:
    texts = ["no answer from 10.0.0.1", "no answer from 10.0.0.2", "refused by 10.0.0.1"]
    one, same, other = (of(ConnectionError(text)) for text in texts)
    assert one == same != other


def test_results_are_grouped_by_their_code_and_without_one_by_the_words_of_their_reason() -> None:
    def result(code: str | None, reason: str) -> str:
        return fingerprint_of_result(code=code, reason=reason, function="route", operation=None)

    assert result("REFUSED", "order 1 is refused") == result("REFUSED", "something else")
    assert result("REFUSED", "no") != result("CLOSED", "no")
    assert result(None, "order 1 is refused") == result(None, "order 2 is refused")
    assert result(None, "order 1 is refused") != result(None, "order 1 is late")
    assert result(None, "code") != result("code", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Order 4711 of 'Bob Smith' failed: no answer (yet).", "order of failed no answer yet"),
        ("token=sk_live_8f7a, id 3f2a-77 at bob@example.org", "id at"),
        ("https://example.org/orders/1 answered 503", "answered"),
        ('"a quoted \n value" is refused', "is refused"),
        ("x" * 100, ""),
        ("Grüße, 日本語!", "grüße 日本語"),
        ("", ""),
    ],
)
def test_plain_words_hold_no_numbers_ids_addresses_and_quoted_values(text: str, words: str) -> None:
    assert plain_words(text) == words


@given(st.text())
def test_plain_words_of_any_text_are_letters(text: str) -> None:
    assert all(word.isalpha() for word in plain_words(text).split())


@given(st.text())
def test_a_fingerprint_is_short_whatever_the_names_are(text: str) -> None:
    assert len(of(ValueError(text), function=text, operation=text)) == 16


def test_a_problem_carries_the_fingerprint_of_its_error() -> None:
    error = caught(wrapped, 1)
    assert Problem.of(error, function="to-canonical", operation="map").fingerprint == of(error)
