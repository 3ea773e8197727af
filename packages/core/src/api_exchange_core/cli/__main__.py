"""`python -m api_exchange_core.cli`, the same as `api-exchange`."""

from __future__ import annotations

from api_exchange_core.cli import main

main()
