"""`make package-aws`: what Lambda loads, as a zip."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from infra.packaging import Package

ORDERS: Final = Package(
    name="orders-aws.zip",
    member="aws",
    python="3.11",
    platform="x86_64-manylinux2014",
    own={"lambda_app.py": Path(__file__).parent / "lambda_app.py"},
)

if __name__ == "__main__":
    ORDERS.write()
