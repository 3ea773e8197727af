"""Arguments that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

ExchangeTarget = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:EXCHANGE",
        help="Where the exchange is declared, such as shop.exchange:exchange. It is sought from the current "
        "folder on; without a colon it is the module's `exchange`.",
        show_default=False,
    ),
]
"""Which exchange; for `loading.load_exchange`."""
