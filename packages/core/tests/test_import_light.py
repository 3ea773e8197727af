from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {
    "alembic",
    "azure",
    "boto3",
    "botocore",
    "cryptography",
    "dependency_injector",
    "opentelemetry",
    "psycopg",
    "rich",
    "sqlalchemy",
    "starlette",
    "structlog",
    "typer",
    "uvicorn",
}
"""What loads when an adapter that needs it is built; a cold start pays for each that loads before."""


def loaded_by(statement: str) -> set[str]:
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(run.stdout)}


def test_importing_the_package_loads_no_heavy_library() -> None:
    loaded = loaded_by("import api_exchange_core")
    assert "api_exchange_core" in loaded
    assert loaded & HEAVY == set()


def test_a_heavy_library_that_is_loaded_is_seen() -> None:
    assert loaded_by("import sqlalchemy.orm") & HEAVY == {"sqlalchemy"}
