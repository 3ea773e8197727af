"""The package as such: what it brings, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires


def test_importing_it_loads_no_sdk_and_no_database() -> None:
    code = """
import api_exchange_azure, sys
heavy = {"azure", "sqlalchemy", "dependency_injector", "structlog", "starlette"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


NEEDED_BY_OTHERS = (
    *("alembic", "api_exchange_core.cli", "api_exchange_core.containers.local", "typer", "uvicorn"),
    *("azure.data", "azure.identity", "azure.keyvault", "azure.servicebus.aio", "azure.storage"),
    *("boto3", "cryptography", "httpx", "opentelemetry.sdk", "sqlalchemy.orm"),
)
"""Commands, one machine, other services and other ways to sign in; what calls APIs loads its client itself."""


def test_an_app_with_a_connection_string_loads_nothing_that_only_others_need() -> None:
    assert _loaded(f"print(sorted(set({NEEDED_BY_OTHERS!r}) & set(sys.modules)))") == "[]"


def test_what_an_app_loads_is_seen() -> None:
    assert _loaded("print('sqlalchemy' in sys.modules, 'azure.functions' in sys.modules)") == "True True"


def _loaded(code: str) -> str:
    """What *code* prints in an interpreter that has made a function app."""
    made = """
import sys
sys.modules["starlette"] = None  # dependency_injector looks for it, and function apps do without
sys.modules["rich"] = None  # the same of structlog
from api_exchange_azure import create_function_app
from api_exchange_core import Exchange
create_function_app(Exchange("shop"))
"""
    environment = {
        "API_EXCHANGE_DATABASE_URL": "postgresql://user@nowhere/exchange",
        "API_EXCHANGE_SERVICE_BUS": "Endpoint=sb://nowhere/;SharedAccessKeyName=k;SharedAccessKey=v",
    }
    done = subprocess.run(
        [sys.executable, "-c", made + code], check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout.strip()


def test_it_builds_on_core_and_brings_the_sdk() -> None:
    needed = " ".join(requires("api-exchange-azure") or ())
    assert "api-exchange-core" in needed
    assert "azure-servicebus" in needed
