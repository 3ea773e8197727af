"""Finding the exchange that a command line names, and saying clearly why it cannot be found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from api_exchange_core import DeclarationError
from api_exchange_core.cli.loading import load_exchange

Write = Callable[[str, str], None]

DECLARED = """
from api_exchange_core import Exchange

exchange = Exchange("orders")
returns = Exchange("returns")
"""


def refusal(target: str) -> str:
    with pytest.raises(DeclarationError) as refused:
        load_exchange(target)
    text = str(refused.value)
    assert "\n" not in text
    return text


def test_an_exchange_is_found_from_the_current_folder_on(write: Write) -> None:
    write("shop_a/exchange.py", DECLARED)
    assert load_exchange("shop_a.exchange:returns").name == "returns"


def test_without_a_colon_it_is_the_attribute_called_exchange(write: Write) -> None:
    write("shop_b.py", DECLARED)
    assert load_exchange("shop_b").name == "orders"


def test_a_module_that_is_not_there_is_named_with_the_folder_that_was_looked_in(
    write: Write, tmp_path: Path
) -> None:
    assert refusal("shop_c.exchange:exchange") == (
        f"no module 'shop_c.exchange' was found from {tmp_path} on: No module named 'shop_c'"
    )


def test_a_module_that_imports_what_is_not_there_is_told_apart(write: Write) -> None:
    write("shop_d.py", "import json\nimport not_installed\n")
    assert refusal("shop_d") == (
        "module 'shop_d' could not be imported: shop_d.py:2: ModuleNotFoundError: No module named 'not_installed'"
    )


def test_a_failing_import_names_the_innermost_line_of_the_application(write: Write) -> None:
    write("shop_e/__init__.py", "")
    write("shop_e/settings.py", "from decimal import Decimal\n\nLIMIT = Decimal('much')\n")
    write("shop_e/exchange.py", "from shop_e import settings\n" + DECLARED)
    assert refusal("shop_e.exchange").startswith(
        f"module 'shop_e.exchange' could not be imported: {Path('shop_e/settings.py')}:3: InvalidOperation"
    )


def test_a_wrong_declaration_is_shown_as_such_with_its_line(write: Write) -> None:
    write("shop_f.py", DECLARED + "exchange.queue('intake', 'Orders', dict)\n")
    assert refusal("shop_f").startswith(
        "module 'shop_f' could not be imported: shop_f.py:6: 'Orders' is no portable"
    )


def test_a_module_that_is_no_python_names_file_and_line(write: Write) -> None:
    write("shop_g.py", "x = 1\nexchange = = 2\n")
    assert (
        refusal("shop_g") == "module 'shop_g' could not be imported: shop_g.py:2: SyntaxError: invalid syntax"
    )


def test_settings_that_do_not_fit_are_named_without_their_values(write: Write) -> None:
    write("shop_h.py", "import pydantic\nclass S(pydantic.BaseModel):\n    port: int\nS(port='secret')\n")
    assert refusal("shop_h") == (
        "module 'shop_h' could not be imported: shop_h.py:4: S: port: Input should be a valid integer, unable to "
        "parse string as an integer"
    )


def test_a_module_that_ends_the_program_does_not(write: Write) -> None:
    write("shop_i.py", "raise SystemExit(0)\n")
    assert refusal("shop_i") == "module 'shop_i' ended the program with exit code 0"


def test_an_attribute_that_is_not_there_is_answered_with_those_that_are(write: Write) -> None:
    write("shop_j.py", DECLARED)
    assert (
        refusal("shop_j:orders")
        == "module 'shop_j' has no 'orders'; its exchanges: shop_j:exchange, shop_j:returns"
    )


def test_a_module_without_any_exchange_is_answered_with_how_to_declare_one(write: Write) -> None:
    write("shop_k.py", "")
    assert (
        refusal("shop_k")
        == "module 'shop_k' has no 'exchange'; declare one there: exchange = Exchange(\"orders\")"
    )


def test_something_else_than_an_exchange_is_refused(write: Write) -> None:
    write("shop_l.py", DECLARED + "def declare():\n    return exchange\n")
    assert refusal("shop_l:declare") == (
        "'shop_l:declare' is no Exchange, but a function; its exchanges: shop_l:exchange, shop_l:returns"
    )


def test_a_package_in_place_of_its_module_is_answered_with_the_module(write: Write) -> None:
    write("shop_m/__init__.py", "from shop_m import exchange\n")
    write("shop_m/exchange.py", DECLARED)
    assert refusal("shop_m").startswith(
        "'shop_m:exchange' is no Exchange, but a module; its exchanges: shop_m.exchange:exchange, "
    )


@pytest.mark.parametrize(
    ("target", "mend"),
    [
        ("shop/exchange.py", "name the module, not the file: shop.exchange:exchange"),
        ("shop/exchange.py:returns", "name the module, not the file: shop.exchange:returns"),
        ("exchange.py", "name the module, not the file: exchange:exchange"),
        ("", "use module:attribute, such as shop.exchange:exchange"),
        ("shop:", "use module:attribute, such as shop.exchange:exchange"),
        ("shop..exchange", "use module:attribute, such as shop.exchange:exchange"),
        ("shop:a:b", "use module:attribute, such as shop.exchange:exchange"),
    ],
)
def test_what_cannot_be_a_target_is_answered_with_one_that_can(target: str, mend: str) -> None:
    assert refusal(target) == f"{target!r} names no exchange; {mend}"
