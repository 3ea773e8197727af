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


UNNEEDED = {
    "alembic",
    "boto3",
    "cryptography",
    "httpx",
    "jinja2",
    "opentelemetry.sdk",
    "s3transfer",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.orm",
    "typer",
    "uvicorn",
}
"""What machines, migrations, credentials and calls of other people's APIs need: the last two when they are used."""


def test_a_handler_loads_nothing_that_it_may_not_need() -> None:
    code = f"""
import sys
# dependency_injector looks for the one and structlog for the other, and Lambda functions do without
sys.modules["starlette"] = sys.modules["rich"] = None
from api_exchange_aws import create_lambda_handler
from api_exchange_core import Exchange
create_lambda_handler(Exchange("shop"))
print(sorted({UNNEEDED!r} & set(sys.modules)))
"""
    assert _printed_by(code) == "[]"


def test_the_garbage_collector_is_as_it_was_once_a_handler_is_made() -> None:
    code = """
import gc
from api_exchange_aws import create_lambda_handler
from api_exchange_core import Exchange
create_lambda_handler(Exchange("shop"))
print(gc.isenabled(), end=" ")
gc.disable()
create_lambda_handler(Exchange("shop"))
print(gc.isenabled())
"""
    assert _printed_by(code) == "True False"


def test_it_builds_on_core_and_brings_the_sdk() -> None:
    needed = " ".join(requires("api-exchange-aws") or ())
    assert "api-exchange-core" in needed
    assert "boto3" in needed


def _printed_by(code: str) -> str:
    """What *code* prints in an interpreter of its own, configured as a function is."""
    environment = {
        "API_EXCHANGE_DATABASE_URL": "postgresql://user@nowhere/exchange",
        "API_EXCHANGE_TOKEN_TABLE": "tokens",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout.strip()
