"""`make package-azure`: what a function app loads, as a zip."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from infra.packaging import Package, Platform

_HERE: Final = Path(__file__).parent

ORDERS: Final = Package(
    name="orders-azure.zip",
    member="azure",
    platform=Platform("3.13"),
    own={"function_app.py": _HERE / "function_app.py", "host.json": _HERE / "host.json"},
    unpacked="/home/site/wwwroot",
    libraries=".python_packages/lib/site-packages",
)

if __name__ == "__main__":
    ORDERS.main()
