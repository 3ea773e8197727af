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

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        help="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; else API_EXCHANGE_DATABASE_URL, "
        "else sqlite:///exchange.db. A password is better kept in the environment than on a command line.",
        show_default=False,
    ),
]
"""Which database; for `settings.settings_with`."""

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.", show_default=False)]
"""How a command answers; for `show`."""

Tenant = Annotated[str | None, typer.Option(help="Of this tenant only; else of all.", show_default=False)]
"""Whose; for `tenants.wanted_tenant`."""

By = Annotated[
    str | None,
    typer.Option(help="Who does this, for the record; you, if left out.", show_default=False),
]
"""Who; for `operator.operator`."""

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.", show_default=False)]
"""Whether it is sure already; for `confirm`."""

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.", show_default=False)
]
"""Whether to look only."""
