"""Page after page, as pure state machines: to the end, in no circle, to no other host, and on from a state."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from functools import reduce
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_exchange_core.domain.errors import PermanentError, RetryableError
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.pagination.link_header import Link, links
from api_exchange_core.domain.pagination.page import HttpPage, HttpPageRequest, Paginator
from api_exchange_core.domain.pagination.styles import (
    CursorPages,
    LinkedPages,
    NextUrlPages,
    NumberedPages,
    OffsetPages,
)
from api_exchange_core.domain.pagination.walk import Fetched, Walk

BASE = "https://shop.example"
SECRET = "a-secret-that-nothing-shows"

Answers = Callable[[Mapping[str, str]], tuple[JsonValue, Mapping[str, str]]]
"""An API: the body and headers for the parameters of a query."""


def fetch(answers: Answers, request: HttpPageRequest) -> HttpPage:
    url = request.url if "://" in request.url else BASE + request.url
    if request.params:
        url += "?" + urlencode(request.params)
    body, headers = answers(dict(parse_qsl(urlsplit(url).query)))
    return HttpPage(request, url, headers, json.loads(json.dumps(body)))


def walked(
    answers: Answers, paginator: Paginator, *, stop_after: int = 10_000, **options: object
) -> list[Fetched]:
    walk = Walk(paginator, **options)  # type: ignore[arg-type]  # passed on
    found: list[Fetched] = []
    while (request := walk.request) is not None and len(found) < stop_after:
        found.append(walk.arrive(fetch(answers, request)))
    return found


def items(found: list[Fetched]) -> list[JsonValue]:
    return [item for page in found for item in page.items]


class Shop:
    """Gives its items in pages of at most *most*, in whichever way it is asked."""

    def __init__(self, number: int, most: int, *, holes: bool = False) -> None:
        self.all: list[JsonValue] = [{"id": number} for number in range(number)]
        self.most = most
        self.holes = holes

    def by_number(self, query: Mapping[str, str]) -> tuple[JsonValue, Mapping[str, str]]:
        start = (int(query["page"]) - 1) * self.most
        return {"items": self.all[start : start + self.most], "last": -(-len(self.all) // self.most)}, {}

    def by_offset(self, query: Mapping[str, str]) -> tuple[JsonValue, Mapping[str, str]]:
        start = int(query["offset"])
        return {"items": self.all[start : start + self.most], "total": len(self.all)}, {}

    def by_cursor(self, query: Mapping[str, str]) -> tuple[JsonValue, Mapping[str, str]]:
        step = int(query.get("cursor", "0"))
        # With holes each second page is empty, as where an API filters what it has cut into pages.
        start = (step // 2 if self.holes else step) * self.most
        is_hole = self.holes and step % 2 == 0
        more = is_hole or start + self.most < len(self.all)
        found: list[JsonValue] = [] if is_hole else self.all[start : start + self.most]
        return {"items": found, "next": str(step + 1) if more else None}, {}

    def by_link(self, query: Mapping[str, str]) -> tuple[JsonValue, Mapping[str, str]]:
        body, _ = self.by_cursor(query)
        assert isinstance(body, dict)
        link = f'<{BASE}/x>; rel="first", </orders?cursor={body["next"]}>; rel="next"'
        return body["items"], {"link": link} if body["next"] else {}

    def by_url(self, query: Mapping[str, str]) -> tuple[JsonValue, Mapping[str, str]]:
        body, _ = self.by_cursor(query)
        assert isinstance(body, dict)
        return {"items": body["items"], "next": body["next"] and f"{BASE}/orders?cursor={body['next']}"}, {}


WAYS: list[tuple[Callable[[Shop], Answers], Paginator]] = [
    (lambda shop: shop.by_number, NumberedPages(path="/orders", items="/items")),
    (lambda shop: shop.by_number, NumberedPages(path="/orders", items="/items", last="/last")),
    (lambda shop: shop.by_offset, OffsetPages(path="/orders", items="/items", params={"limit": 1000})),
    (lambda shop: shop.by_offset, OffsetPages(path="/orders", items="/items", total="/total")),
    (lambda shop: shop.by_cursor, CursorPages(path="/orders", items="/items", cursor="/next")),
    (lambda shop: shop.by_link, LinkedPages(path="/orders", items="")),
    (lambda shop: shop.by_url, NextUrlPages(path="/orders", items="/items", url="/next")),
]


@given(st.sampled_from(WAYS), st.integers(0, 40), st.integers(1, 9))
def test_every_item_comes_once_and_in_order(
    way: tuple[Callable[[Shop], Answers], Paginator], number: int, most: int
) -> None:
    shop = Shop(number, most)
    found = walked(way[0](shop), way[1])
    assert items(found) == shop.all
    assert [page.number for page in found] == list(range(1, len(found) + 1))
    assert [page.state is None for page in found[:-1]] == [False] * (len(found) - 1)
    assert found[-1].state is None


@given(st.sampled_from(WAYS), st.integers(0, 40), st.integers(1, 9), st.integers(1, 50))
def test_a_walk_that_was_left_goes_on_from_its_state_as_json(
    way: tuple[Callable[[Shop], Answers], Paginator], number: int, most: int, left_after: int
) -> None:
    shop = Shop(number, most)
    first = walked(way[0](shop), way[1], stop_after=left_after)
    kept = json.loads(json.dumps(first[-1].state))
    rest = [] if kept is None else walked(way[0](shop), way[1], state=kept)
    assert items(first) + items(rest) == shop.all


@given(st.integers(0, 20), st.integers(1, 5))
def test_pages_that_are_empty_do_not_end_a_walk_that_has_a_cursor(number: int, most: int) -> None:
    shop = Shop(number, most, holes=True)
    paginator = CursorPages(path="/orders", items="/items", cursor="/next")
    assert items(walked(shop.by_cursor, paginator)) == shop.all
    ends = CursorPages(path="/orders", items="/items", cursor="/next", empty_ends=True)
    assert len(walked(shop.by_cursor, ends)) == 1


@settings(max_examples=40)
@given(st.integers(0, 100), st.integers(1, 100), st.booleans())
def test_a_circle_of_cursors_is_found_however_long_it_is_also_when_the_walk_is_left_at_each_page(
    before: int, length: int, is_left: bool
) -> None:
    def circle(query: Mapping[str, str]) -> tuple[JsonValue, Mapping[str, str]]:
        step = int(query.get("cursor", "0")) + 1
        return {"items": [], "next": step if step < before + length else before}, {}

    paginator = CursorPages(path="/orders", items="/items", cursor="/next")
    asked: list[Mapping[str, str]] = []

    def counted(query: Mapping[str, str]) -> tuple[JsonValue, Mapping[str, str]]:
        asked.append(query)
        return circle(query)

    def go(state: JsonValue) -> JsonValue:
        return walked(counted, paginator, state=state, stop_after=1 if is_left else 10_000)[-1].state

    with pytest.raises(PermanentError, match="'/orders' lead in a circle"):
        reduce(lambda state, _: go(state), range(10_000), None)
    assert len(asked) <= 4 * (before + length) + 4


def test_an_api_that_does_not_know_the_parameter_is_noticed_by_its_second_page() -> None:
    with pytest.raises(PermanentError, match="gave the same page twice, the second time as number 2"):
        walked(lambda _: ({"items": [1]}, {}), NumberedPages(path="/orders", items="/items"))


def test_a_walk_has_an_end_whatever_the_api_says() -> None:
    def endless(query: Mapping[str, str]) -> tuple[JsonValue, Mapping[str, str]]:
        return {"items": [query["page"]]}, {}

    with pytest.raises(PermanentError, match="more than 5 pages: raise max_pages"):
        walked(endless, NumberedPages(path="/orders", items="/items"), max_pages=5)


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/x", "//evil.example/x", "http://shop.example/x", "https://shop.example:8443/x"],
)
def test_no_page_leads_to_another_host(target: str) -> None:
    by_url = NextUrlPages(path="/orders", items="/items", url="/next")
    with pytest.raises(PermanentError, match="another host does not get this one's credentials"):
        walked(lambda _: ({"items": [1], "next": target}, {}), by_url)
    with pytest.raises(PermanentError, match="another host"):
        walked(lambda _: ([1], {"link": f"<{target}>; rel=next"}), LinkedPages(path="/orders", items=""))


def test_a_part_of_an_address_is_taken_from_the_page_it_stands_on() -> None:
    page = HttpPage(HttpPageRequest("/v1/orders"), "https://shop.example/v1/orders?page=1", {}, None)
    assert page.link("?page=2").url == "https://shop.example/v1/orders?page=2"
    assert page.link("/v2").url == "https://shop.example/v2"
    assert page.link("https://shop.example:443/v3").url == "https://shop.example:443/v3"
    with pytest.raises(PermanentError, match="that is none"):
        page.link("https://[::1")


@pytest.mark.parametrize(
    ("paginator", "body"),
    [
        (CursorPages(path="/o", items="/items", cursor="/next"), {"orders": []}),
        (CursorPages(path="/o", items="/items", cursor="/next"), {"items": {}}),
        (CursorPages(path="/o", items="/items", cursor="/next"), {"items": [], "next": {"a": SECRET}}),
        (CursorPages(path="/o", items="/items", cursor="/next"), {"items": [], "next": True}),
        (NextUrlPages(path="/o", items="/items", url="/next"), {"items": [], "next": 5}),
        (NumberedPages(path="/o", items="/items", last="/last"), {"items": [1], "last": "9"}),
        (NumberedPages(path="/o", items="", last="/last"), SECRET),
        (OffsetPages(path="/o", items="/items", total="/total"), {"items": [1]}),
    ],
)
def test_a_page_that_is_something_else_is_worth_another_try_and_not_shown(
    paginator: Paginator, body: JsonValue
) -> None:
    with pytest.raises(RetryableError, match="a page of '/o'") as failure:
        walked(lambda _: (body, {}), paginator)
    assert SECRET not in "".join(traceback.format_exception(failure.value))


def test_a_page_that_says_there_is_no_more_is_the_last_whatever_its_cursor() -> None:
    paginator = CursorPages(path="/o", items="/items", cursor="/next", more="/more")
    assert len(walked(lambda _: ({"items": [1], "next": "x", "more": False}, {}), paginator)) == 1


@pytest.mark.parametrize(
    "state", [1, [], {}, {"url": SECRET}, "x", {"url": 1, "params": {}, "mark": "", "pages": -1}]
)
def test_a_state_that_is_none_is_refused_and_not_shown(state: JsonValue) -> None:
    with pytest.raises(PermanentError, match="no state that a walk was left in") as failure:
        Walk(CursorPages(path="/o", items="/items", cursor="/next"), state=state)
    assert SECRET not in "".join(traceback.format_exception(failure.value))


def test_nothing_shows_what_is_on_a_page_or_in_a_state() -> None:
    paginator = CursorPages(path="/o", items="/items", cursor="/next")
    (page,) = walked(lambda _: ({"items": [SECRET], "next": SECRET}, {}), paginator, stop_after=1)
    assert SECRET not in repr(page)
    assert page.state is not None


def test_pages_that_come_after_the_end_are_refused() -> None:
    walk = Walk(CursorPages(path="/o", items="/items", cursor="/next"))
    page = HttpPage(HttpPageRequest("/o"), f"{BASE}/o", {}, {"items": []})
    walk.arrive(page)
    with pytest.raises(ValueError, match="the walk is over"):
        walk.arrive(page)


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ('<https://a/x?y=1,2>; rel="next"', [Link("https://a/x?y=1,2", frozenset({"next"}))]),
        ("</a>;rel=NEXT , </b>; title=\"a, b; rel=no\"; rel='x'", [("/a", "next"), ("/b", "'x'")]),
        ('</a>; rel="prev next"', [Link("/a", frozenset({"prev", "next"}))]),
        ('</a>; rel=next; rel="prev"', [("/a", "next")]),
        ('</a>; title="x; rel=next"', [Link("/a", frozenset())]),
        ("</a>", [Link("/a", frozenset())]),
        ("", []),
        ("not a link", []),
        ("</a>; rel=next, broken", [("/a", "next")]),
    ],
)
def test_links(field: str, found: list[Link | tuple[str, str]]) -> None:
    expected = [one if isinstance(one, Link) else Link(one[0], frozenset({one[1]})) for one in found]
    assert list(links(field)) == expected


@given(st.text(max_size=80))
def test_no_text_breaks_the_parser_of_links(field: str) -> None:
    assert all(isinstance(link, Link) for link in links(field))
