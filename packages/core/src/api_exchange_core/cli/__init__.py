"""The command line, `api-exchange`."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command line on the arguments of the process. What it needs comes with the extra ``local``."""
    if find_spec("typer") is None:
        print('api-exchange is not installed whole: pip install "api-exchange-core[local]"', file=sys.stderr)
        raise SystemExit(2)
    from api_exchange_core.cli.app import run

    run()
