"""The function app of infra/azure, and what of it the largest libraries take by themselves."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.cold_start.candidate import Candidate
from infra.azure.package import ORDERS
from infra.packaging import Platform

_ENVIRONMENT: Final = {
    "API_EXCHANGE_DATABASE_URL": "postgresql://user@127.0.0.1:9/orders",
    "API_EXCHANGE_SERVICE_BUS": "Endpoint=sb://127.0.0.1/;SharedAccessKeyName=k;SharedAccessKey=v",
    "ORDERS_SHOP_URL": "http://127.0.0.1:9",
}
_PARTS: Final = ("azure.functions", "azure.servicebus", "sqlalchemy, psycopg", "httpx", "examples.orders.app")


def candidates(folder: Path) -> Sequence[Candidate]:
    """The zip, unpacked as the host unpacks it, and with bytecode."""
    archive = folder / "app.zip"
    ORDERS.write(archive, Platform(f"{sys.version_info.major}.{sys.version_info.minor}"))
    libraries = archive.with_suffix("") / ORDERS.libraries
    found = f"import sys; sys.path.append({str(libraries)!r}); import "
    app = Candidate.of("api-exchange-azure, examples/orders", archive, f"{found}function_app", _ENVIRONMENT)
    parts = [replace(app, name=f"import {part}", code=found + part, zip_bytes=0, bytes=0) for part in _PARTS]
    return [*parts, app]
