"""`make package-aws`: what Lambda loads, as a zip, the code of infra/aws/template.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from infra.packaging import Package, Platform

ORDERS: Final = Package(
    name="orders-aws.zip",
    member="aws",
    platform=Platform("3.11"),
    own={"lambda_app.py": Path(__file__).parent / "lambda_app.py"},
    unpacked="/var/task",
)

if __name__ == "__main__":
    ORDERS.main()
