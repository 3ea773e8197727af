"""The package as such: what it brings, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires


def test_importing_it_loads_no_sdk_and_no_database() -> None:
    code = """
import api_exchange_aws, sys
heavy = {"boto3", "botocore", "sqlalchemy", "dependency_injector", "structlog", "starlette"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_handler_loads_nothing_that_only_a_machine_or_a_migration_needs() -> None:
    code = """
import sys
sys.modules["starlette"] = None  # dependency_injector looks for it, and Lambda functions do without
from api_exchange_aws import create_lambda_handler
from api_exchange_core import Exchange
create_lambda_handler(Exchange("shop"))
heavy = {"alembic", "typer", "uvicorn", "httpx", "cryptography", "sqlalchemy.orm"}
print(sorted(heavy & set(sys.modules)))
"""
    environment = {
        "API_EXCHANGE_DATABASE_URL": "postgresql://user@nowhere/exchange",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "[]"


def test_it_builds_on_core_and_brings_the_sdk() -> None:
    needed = " ".join(requires("api-exchange-aws") or ())
    assert "api-exchange-core" in needed
    assert "boto3" in needed
