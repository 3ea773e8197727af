from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.conditions import field
from api_exchange_core.domain.errors import DeclarationError, UnroutableError
from api_exchange_core.domain.rules import FAIL, Mode, Routing, Rule

EXPRESS = Rule(field("order_type") == "express", to="express-orders")
COSTLY = Rule(field("total") > 1000, to=["standard-orders", "fraud-check"])
STANDARD = Rule(field("order_type").exists(), to="standard-orders")

RULES = st.lists(
    st.builds(
        lambda flag, to: Rule(field(flag) == True, to=to),  # noqa: E712 - a condition
        st.sampled_from("abc"),
        st.lists(st.sampled_from(["queue-1", "queue-2", "queue-3"]), min_size=1, max_size=3),
    ),
    max_size=5,
)
PAYLOADS = st.dictionaries(st.sampled_from("abc"), st.booleans()) | st.none() | st.text()


def test_the_first_rule_that_holds_decides() -> None:
    routing = Routing([EXPRESS, COSTLY, STANDARD], default="unknown-orders")
    assert routing.destinations({"order_type": "express", "total": 5000}) == ("express-orders",)
    assert routing.destinations({"order_type": "slow", "total": 5000}) == ("standard-orders", "fraud-check")
    assert routing.destinations({"order_type": "slow"}) == ("standard-orders",)


def test_in_mode_all_every_rule_that_holds_adds_its_queues_once_and_in_order() -> None:
    routing = Routing([EXPRESS, COSTLY, STANDARD], default="unknown-orders", mode="all")
    sent = routing.destinations({"order_type": "express", "total": 5000})
    assert sent == ("express-orders", "standard-orders", "fraud-check")


@pytest.mark.parametrize("mode", ["first", "all"])
def test_a_message_that_no_rule_takes_goes_to_the_default(mode: Mode) -> None:
    assert Routing([EXPRESS], default="unknown-orders", mode=mode).destinations({}) == ("unknown-orders",)


@pytest.mark.parametrize("mode", ["first", "all"])
def test_a_message_that_no_rule_takes_is_refused_where_the_default_is_to_fail(mode: Mode) -> None:
    routing = Routing([EXPRESS, COSTLY], default=FAIL, mode=mode)
    with pytest.raises(UnroutableError, match="none of 2 rules takes the message") as caught:
        routing.destinations({"order_type": "hush"})
    assert "hush" not in str(caught.value)


@given(RULES, st.sampled_from(["queue-1", "unknown-orders"]), st.sampled_from(["first", "all"]), PAYLOADS)
def test_every_message_goes_to_at_least_one_of_the_queues_and_to_none_twice(
    rules: list[Rule], default: str, mode: Mode, payload: object
) -> None:
    routing = Routing(rules, default=default, mode=mode)
    sent = routing.destinations(payload)
    assert sent
    assert len(set(sent)) == len(sent)
    assert set(sent) <= set(routing.queues)


@given(RULES, PAYLOADS)
def test_mode_first_sends_where_the_first_rule_alone_would(rules: list[Rule], payload: object) -> None:
    routing = Routing(rules, default="unknown-orders")
    alone = [Routing([rule], default="unknown-orders").destinations(payload) for rule in rules]
    taken = [sent for sent in alone if sent != ("unknown-orders",)]
    assert routing.destinations(payload) == (taken[0] if taken else ("unknown-orders",))


def test_a_routing_lists_all_queues_that_it_can_send_to() -> None:
    assert Routing([COSTLY, STANDARD, EXPRESS], default="unknown-orders").queues == (
        "standard-orders",
        "fraud-check",
        "express-orders",
        "unknown-orders",
    )
    assert Routing([EXPRESS], default=FAIL).queues == ("express-orders",)
    assert Routing([], default="unknown-orders").queues == ("unknown-orders",)


def test_plain_data_says_the_same_as_python() -> None:
    document = {
        "rules": [
            {"when": {"field": "order_type", "op": "==", "value": "express"}, "to": "express-orders"},
            {"when": {"field": "total", "op": ">", "value": 1000}, "to": ["standard-orders", "fraud-check"]},
        ],
        "default": "FAIL",
        "mode": "all",
    }
    assert Routing.parse(document) == Routing([EXPRESS, COSTLY], default=FAIL, mode="all")
    assert Routing.parse({"rules": [], "default": "unknown-orders"}) == Routing([], default="unknown-orders")


EXISTS = {"field": "x", "op": "exists"}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "routing: needs the keys ['default', 'rules'], not []"),
        ({"rules": []}, "routing: ['default'] missing; found ['rules']"),
        ({"rule": [], "default": "FAIL"}, "routing: ['rules'] missing; found ['rule', 'default']"),
        (
            {"rules": [], "default": "unknown-orders", "modus": "all"},
            "routing: no such key as ['modus']; use ['default', 'mode', 'rules']",
        ),
        ({"rules": {}, "default": "FAIL"}, "rules: needs a list of rules, not {}"),
        ({"rules": [EXISTS], "default": "FAIL"}, "rules[0]: ['to', 'when'] missing; found ['field', 'op']"),
        (
            {"rules": [{"when": EXISTS, "to": "q"}], "default": "FAIL"},
            "rules[0].to: 'q' is no portable queue name",
        ),
        ({"rules": [{"when": EXISTS, "to": []}], "default": "FAIL"}, "rules[0].to: a rule's to is"),
        (
            {"rules": [{"when": EXISTS, "to": [5]}], "default": "FAIL"},
            "rules[0].to: 5 is no portable queue name",
        ),
        (
            {
                "rules": [
                    {"when": EXISTS, "to": "orders"},
                    {"when": {"all": [{"field": "x", "op": "gt", "value": 1}]}, "to": "orders"},
                ],
                "default": "FAIL",
            },
            "rules[1].when.all[0].op: 'gt' is no operator; use one of",
        ),
        ({"rules": [], "default": "No Queue"}, "default: 'No Queue' is no portable queue name"),
        ({"rules": [], "default": None}, "default: None is no default; name a queue, or 'FAIL'"),
        ({"rules": [], "default": "orders", "mode": "some"}, "mode: 'some' is no mode; use 'first' or 'all'"),
        ({"rules": [], "default": "FAIL"}, "refuses every message"),
    ],
)
def test_a_document_that_is_no_routing_is_refused_with_the_path_to_the_mistake(
    document: object, told: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        Routing.parse(document)
    assert told in str(caught.value)


def test_a_mistake_in_python_is_refused_at_declaration() -> None:
    broken: Any = {"field": "x"}
    with pytest.raises(DeclarationError, match="is a condition such as"):
        Rule(broken, to="orders")
    with pytest.raises(DeclarationError, match="no portable queue name"):
        Rule(field("x") == 1, to="Express Orders")
    with pytest.raises(DeclarationError, match="no portable queue name"):
        Rule(field("x") == 1, to=FAIL)
    with pytest.raises(DeclarationError, match="consists of Rule"):
        Routing([broken], default=FAIL)
    with pytest.raises(DeclarationError, match="is no mode"):
        Routing([EXPRESS], default=FAIL, mode="any")  # type: ignore[arg-type]  # what mypy refuses too
    with pytest.raises(DeclarationError, match="refuses every message"):
        Routing([], default=FAIL)
    with pytest.raises(TypeError, match="default"):
        Routing([EXPRESS])  # type: ignore[call-arg]  # what mypy refuses too
